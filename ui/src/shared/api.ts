// The one way to the server: credentials, CSRF, idempotency keys, problems
// as sentences. Nothing typed is lost when a session ends: the request
// waits until somebody has signed in again.
import { ref } from 'vue'
import { lang, t } from './i18n'

export interface FieldProblem { field: string; code: string; message: string }
export interface Problem {
  code: string; detail: string; status: number; request_id: string
  errors?: FieldProblem[]; changes?: TimelineEntry[]; version?: string; retry_after?: number
}

/** ApiError carries the server's sentence; `message` is fit for people. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) { super(problem.detail) }
}

export interface Value { v?: unknown; text?: string; masked?: boolean; revealable?: boolean; hidden?: boolean }
export interface Clock { id: string; title: string; state: string; due_at: number; warn_at: number; yellow_at: number; red_at: number; next_at: number; remaining_minutes: number; text: string; rule: string; started_at: number; paused_since?: number; extensions: number; uncertain: boolean }
export interface Row { id: string; kind: string; kind_title: string; number?: string; title: string; heading: string; state: string; state_title: string; tone: string; holder: string; holder_name: string; village?: string; urgency?: string; type?: string; type_text?: string; created_at: number; changed_at: number; clock?: Clock; card?: string; urged?: number; returns?: number; mine: boolean; unread: boolean; badge: string }
export interface Actor { id: string; name: string; role_title: string; organisation_name: string }
export interface FieldChange { path: string; title: string; before?: Value; after?: Value }
export interface TimelineEntry { op: string; step: string; title: string; effect: string; at: number; time_quality: number; actor: Actor; from?: string; to?: string; target_name?: string; note?: Value; inputs?: Record<string, Value>; changed?: FieldChange[]; after_close?: boolean }
export interface Missing { path?: string; message: string }
export interface Field { key: string; title: { zh: string; en: string }; type: string; table?: string; required?: boolean; max?: number; min?: number; sensitivity?: string; mask?: string; lines?: number; fields?: Field[]; default?: string }
export interface Action { step: string; title: string; effect: string; allowed: boolean; why?: string; fields?: { key: string; required?: boolean; value?: string }[]; inputs?: Field[]; note?: string; document?: string; holder?: string; missing?: Missing[] }
export interface FileInfo { hash: string; name: string; size: number; media: string; document?: string; at: number; by: string; readable: boolean }
export interface User { id: string; name: string; username?: string }
export interface Copy { target: string; name: string; read_by?: User[] }
export interface RecordView extends Row {
  aliases?: string[]; version: string; sight: string; custodian_name: string; reporter_name: string; fields: Record<string, Value>; timeline: TimelineEntry[]; clocks: Clock[]; actions: Action[]; files: FileInfo[]
  documents?: { type: string; title: string; n: number; filed_at: number; void?: boolean }[]; dossier?: { complete: boolean; missing?: { path?: string; message: string }[] }
  assists?: Copy[]; copies?: Copy[]; cards?: { clock: string; colour: string; against: string; lifted?: boolean }[]; asked?: { kind: string; clock?: string; limit?: string }[]
  offered_to?: string; links?: { id: string; relation: string; number?: string; heading?: string }[]; papers?: { id: string; title: string }[]; suspended?: boolean; presence?: User[]; parent?: string
}
export interface Page { items: Row[]; next: string; as_of: number }
export interface Option { code: string; zh: string; en: string; parent?: string; pinyin?: string; initials?: string }
export interface StepDef { id: string; effect: string; roles: string[]; fields?: { key: string; required?: boolean }[] }
export interface DocType { id: string; no: number; title: { zh: string; en: string }; fields?: Field[]; many?: boolean; scan?: boolean }
export interface Kind { id: string; version: number; title: { zh: string; en: string }; family: string; fields: Field[]; states: { id: string; title: { zh: string; en: string }; closed?: boolean; tone?: string }[]; steps: StepDef[]; clocks?: { id: string; title: { zh: string; en: string } }[]; documents?: DocType[] }
export interface Catalogue { version: string; kinds: Kind[]; tables: Record<string, Option[]>; roles: Option[] }
export interface Organisation { code: string; name: string; level: string; parent?: string; lng?: number; lat?: number; pinyin?: string; initials?: string }
export interface Person { id: string; name: string; roles: string[]; organisation: string; pinyin?: string; initials?: string }
export interface Alarm { id: string; level: number; reason: string; title: string; record?: string; organisation_name?: string; raised_at: number; acknowledged_at?: number; acknowledged_by?: string; state: string; version: string }
export interface Shift { id: string; date: string; slot: string; start: number; end: number; leader?: User; staff?: User[]; phone?: string; state: string }
export interface DutyNow { shift?: Shift; next?: Shift; log_open: number }
export interface BoxInfo { id: string; organisation: string; organisation_name: string; version: string; demo: boolean; setup_needed: boolean; server_time: number; clock_ok: boolean; line: string }
export interface Session { user: { id: string; username: string; name: string }; grants: { role: string; role_title: string; organisation: string; organisation_name: string }[]; csrf: string; expires_at: number; break_glass: boolean; must_change_password: boolean; box: BoxInfo }

export const session = ref<Session | null>(null)
/** signInNeeded shows the sign-in panel over whatever is being done. */
export const signInNeeded = ref(false)
let waiting: (() => void)[] = []

export function signedIn(s: Session) {
  session.value = s
  signInNeeded.value = false
  const go = waiting
  waiting = []
  go.forEach((f) => f())
}

export function newKey(): string {
  const b = new Uint8Array(16)
  crypto.getRandomValues(b) // randomUUID is missing on plain http
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')
}

export interface CallOptions { body?: unknown; key?: string; raw?: BodyInit; type?: string; anonymous?: boolean; signal?: AbortSignal }

export async function call<T>(method: string, path: string, o: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> = { 'Accept-Language': lang.value === 'en' ? 'en' : 'zh-CN' }
  if (method !== 'GET') {
    headers['Idempotency-Key'] = o.key ?? newKey()
    if (session.value) headers['X-CSRF-Token'] = session.value.csrf
  }
  let body = o.raw
  if (o.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    body = JSON.stringify(o.body)
  } else if (o.type) headers['Content-Type'] = o.type
  let res: Response
  try {
    res = await fetch('/api/v1' + path, { method, headers, body, credentials: 'same-origin', signal: o.signal })
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e
    throw new ApiError({ code: 'offline', detail: t('error.offline'), status: 0, request_id: '' })
  }
  if (res.ok) return (res.status === 204 ? undefined : await res.json()) as T
  const problem = await readProblem(res)
  const expired = res.status === 401 && problem.code === 'session_expired' || problem.code === 'csrf'
  if (expired && !o.anonymous && session.value) {
    signInNeeded.value = true
    await new Promise<void>((r) => waiting.push(r))
    return call<T>(method, path, { ...o, key: headers['Idempotency-Key'] })
  }
  throw new ApiError(problem)
}

async function readProblem(res: Response): Promise<Problem> {
  try {
    const p = await res.json()
    if (p && p.detail) return p
  } catch { /* not JSON: an answer from something in between */ }
  return { code: 'unreadable', detail: t('error.unreadable'), status: res.status, request_id: res.headers.get('X-Request-ID') ?? '' }
}

export const api = {
  get: <T>(path: string, o?: CallOptions) => call<T>('GET', path, o),
  post: <T>(path: string, body: unknown = undefined, o: CallOptions = {}) => call<T>('POST', path, { ...o, body }),
  put: <T>(path: string, body: unknown, o: CallOptions = {}) => call<T>('PUT', path, { ...o, body }),
  del: (path: string) => call<void>('DELETE', path),
}

/** upload sends a file with progress, which only XMLHttpRequest gives. */
export function upload(id: string, file: File, documentType: string, progress: (percent: number) => void): Promise<RecordView> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest()
    const q = new URLSearchParams({ name: file.name, document: documentType })
    x.open('PUT', `/api/v1/records/${id}/files?${q}`)
    x.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
    x.setRequestHeader('Idempotency-Key', newKey())
    x.setRequestHeader('X-CSRF-Token', session.value?.csrf ?? '')
    x.setRequestHeader('Accept-Language', lang.value === 'en' ? 'en' : 'zh-CN')
    x.upload.onprogress = (e) => { if (e.lengthComputable) progress(Math.round((e.loaded / e.total) * 100)) }
    x.onerror = () => reject(new ApiError({ code: 'offline', detail: t('error.offline'), status: 0, request_id: '' }))
    x.onload = () => {
      try {
        const body = JSON.parse(x.responseText)
        if (x.status < 300) resolve(body)
        else reject(new ApiError(body))
      } catch { reject(new ApiError({ code: 'unreadable', detail: t('error.unreadable'), status: x.status, request_id: '' })) }
    }
    x.send(file)
  })
}

/** sentence says any error for a person. */
export function sentence(e: unknown): string {
  if (!(e instanceof ApiError)) return e instanceof Error ? e.message : String(e)
  const details = e.problem.errors?.map((f) => f.message).filter(Boolean) ?? []
  const trace = e.problem.status >= 500 && e.problem.request_id ? ` (${t('error.trace')} ${e.problem.request_id})` : ''
  return [e.problem.detail, ...details].join(' ') + trace
}
