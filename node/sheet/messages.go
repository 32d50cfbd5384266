package sheet

import (
	"fmt"
	"strconv"

	"github.com/fengqiao/fengqiao/node/domain"
)

func itoa(n int) string { return strconv.Itoa(n) }

func refuse(code, zh, en string) *FileError {
	return &FileError{Code: code, Message: domain.Text{ZH: zh, EN: en}}
}

func refuseAt(row int, code, zh, en string) *FileError {
	e := refuse(code, fmt.Sprintf("第 %d 行:%s", row, zh), fmt.Sprintf("Row %d: %s", row, en))
	e.Row = row
	return e
}

func mib(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func tooLarge(limit int64) *FileError {
	return refuse("file_too_large", "文件超过 "+mib(limit)+",请拆成几个文件分次导入",
		"The file is larger than "+mib(limit)+". Split it and import the parts.")
}

func tooManyRows(limit int) *FileError {
	return refuse("too_many_rows", fmt.Sprintf("表格超过 %d 行,请拆成几个文件分次导入", limit),
		fmt.Sprintf("The table has more than %d rows. Split it and import the parts.", limit))
}

func tooManyColumns(row, limit int) *FileError {
	return refuseAt(row, "too_many_columns", fmt.Sprintf("超过 %d 列,请删去不用的列后再导入", limit),
		fmt.Sprintf("There are more than %d columns. Delete those not needed.", limit))
}

func errEmpty() *FileError {
	return refuse("empty", "文件里没有内容,请检查是否选错了文件或工作表",
		"There is nothing in the file. Check that it is the right file and sheet.")
}

func errNotFile() *FileError {
	return refuse("not_a_file", "这不是一个普通文件,请选择 CSV 或 XLSX 文件", "This is not a regular file. Choose a CSV or XLSX file.")
}

func noHeader(row int) *FileError {
	return refuse("no_header", fmt.Sprintf("第 %d 行没有表头,请指定表头所在的行", row),
		fmt.Sprintf("There is no header in row %d. Name the row of the header.", row))
}

func errUTF16(name string) *FileError {
	return refuse("utf16", "文件是 "+name+" 编码(Excel 的“Unicode 文本”)。请在 Excel 或 WPS 中另存为“CSV UTF-8(逗号分隔)”,或用记事本另存为并选择编码 UTF-8,再导入",
		"The file is encoded in "+name+". Save it in Excel as \"CSV UTF-8 (Comma delimited)\", or in Notepad with encoding UTF-8, and import that.")
}

func errEncoding(row int) *FileError {
	return refuseAt(row, "bad_encoding", "有无法识别的文字编码。请在 Excel 或 WPS 中另存为“CSV UTF-8(逗号分隔)”再导入",
		"There is text in no known encoding. Save the file in Excel as \"CSV UTF-8 (Comma delimited)\" and import that.")
}

func errBinary() *FileError {
	return refuse("not_text", "文件不是文本,也不是 XLSX 表格,请导入 CSV 或 XLSX 文件",
		"The file is neither text nor an XLSX workbook. Import a CSV or XLSX file.")
}

func errOldExcel() *FileError {
	return refuse("xls", "这是旧格式的 Excel/WPS 文件(.xls 或 .et)。请打开后另存为“Excel 工作簿(*.xlsx)”再导入",
		"This is a workbook of the old format (.xls or .et). Open it, save it as \"Excel Workbook (*.xlsx)\" and import that.")
}

func errPassword() *FileError {
	return refuse("password", "这个工作簿设了打开密码。请打开后去掉密码、另存为 .xlsx 再导入",
		"The workbook is protected by a password. Open it, remove the password, save it as .xlsx and import that.")
}

func errHTML() *FileError {
	return refuse("html", "这其实是一个网页文件(有的系统导出的“.xls”是网页)。请用 Excel 或 WPS 打开后另存为 .xlsx 再导入",
		"This is really a web page (some systems export such files as .xls). Open it in Excel, save it as .xlsx and import that.")
}

func errNotWorkbook(what string) *FileError {
	return refuse("not_a_workbook", "这是"+what+",不是 XLSX 表格,请导入 CSV 或 XLSX 文件", "This is not an XLSX workbook. Import a CSV or XLSX file.")
}

func errMacro() *FileError {
	return refuse("macros", "这是含宏或二进制的工作簿(.xlsm、.xlsb)。请另存为“Excel 工作簿(*.xlsx)”再导入",
		"This is a workbook with macros or of the binary format (.xlsm, .xlsb). Save it as \"Excel Workbook (*.xlsx)\" and import that.")
}

func errMismatch(ext string, f Format) *FileError {
	return refuse("wrong_extension", fmt.Sprintf("文件名以 %s 结尾,内容却是 %s。请核对文件,改用正确的扩展名后再导入", ext, f),
		fmt.Sprintf("The file is named %s but its content is %s. Check the file and give it the right extension.", ext, f))
}

func errExtension(ext string) *FileError {
	return refuse("unknown_extension", "不支持 "+ext+" 文件,请导入 .csv 或 .xlsx 文件", ext+" files cannot be imported. Use .csv or .xlsx.")
}

func errMediaType(media string) *FileError {
	return refuse("wrong_type", "上传的类型("+media+")与文件内容不符,请选择 CSV 或 XLSX 文件重新上传",
		"The type of the upload ("+media+") does not fit its content. Choose a CSV or XLSX file.")
}

func errBomb() *FileError {
	return refuse("zip_bomb", "工作簿解压后过大或压缩比异常,已拒绝。请新建一个工作簿,只粘贴需要的行后再导入",
		"The workbook unpacks to far too much and was refused. Copy the rows needed into a new workbook and import that.")
}

func errDamaged() *FileError {
	return refuse("damaged", "工作簿已损坏或不完整。请用 Excel 或 WPS 打开并另存为新的 .xlsx 再导入",
		"The workbook is damaged or incomplete. Open it in Excel, save it as a new .xlsx and import that.")
}

func errSheet(name string) *FileError {
	return refuse("no_such_sheet", "工作簿里没有名为“"+name+"”的工作表,请核对名称", "The workbook has no sheet named "+strconv.Quote(name)+". Check the name.")
}

func errOpenQuote(row int) *FileError {
	return refuseAt(row, "open_quote", "双引号没有配对,从这里起无法分清各列。请检查这一行的双引号",
		"A double quote is not closed, so columns cannot be told apart. Check the quotes in this row.")
}

func cellError(row, column int, value, code, zh, en string) *CellError {
	return &CellError{Row: row, Column: column, Value: shorten(value), Code: code, Message: domain.Text{ZH: zh, EN: en}}
}

// shorten keeps an error list readable; nobody needs 30,000 characters to
// find a cell.
func shorten(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}

func cellTooLong(row, column, limit int, start string) *CellError {
	return cellError(row, column, start, "cell_too_long", fmt.Sprintf("这一格超过 %d 字,请缩短或改用附件", limit),
		fmt.Sprintf("The cell has more than %d characters. Shorten it or attach a file.", limit))
}

func digitsLost(row, column int, value string) *CellError {
	return cellError(row, column, value, "digits_lost",
		"身份证号被 Excel 存成了数字,后几位已丢失。请把这一列设为“文本”,再重新填写号码",
		"Excel stored a long number (such as an ID card) as a figure and lost its last digits. Format the column as Text and type it again.")
}

func excelError(row, column int, value string) *CellError {
	return cellError(row, column, value, "excel_error", "这一格是 Excel 的出错值("+value+"),请改正公式或直接填写",
		"The cell holds an error of Excel ("+value+"). Correct the formula or type the value.")
}

func noResult(row, column int) *CellError {
	return cellError(row, column, "", "no_result", "这一格的公式还没有结果,请用 Excel 或 WPS 打开、保存后再导入",
		"The formula of the cell has no result yet. Open the file in Excel, save it and import it again.")
}

func errSheetName() *FileError {
	return refuse("bad_sheet_name", "工作表名应为 1 到 31 个字,不含 : \\ / ? * [ ],首尾不是单引号", "A sheet name has 1 to 31 characters, none of : \\ / ? * [ ], and no apostrophe at its ends.")
}
