// The server's types, generated from its OpenAPI document. Kinds of matter
// travel as definitions and are described here after node/domain.
import type { components } from './schema'

type S = components['schemas']
export type Account = S['Account']
export type Alarm = S['Alarm']
export type AuditEntry = S['AuditEntry']
export type AuditPage = S['AuditPage']
export type BoxInfo = S['Box']
export type CalendarYear = S['CalendarYear']
export type Clock = S['Clock']
export type DefinitionResult = S['DefinitionResult']
export type Display = S['Display']
export type Duplicate = S['Duplicate']
export type DutyNow = S['DutyNow']
export type FieldProblem = S['FieldProblem']
export type FileInfo = S['File']
export type Handover = S['Handover']
export type Health = S['Health']
export type Import = S['Import']
export type Option = S['Option']
export type Organisation = S['Organisation']
export type Page = S['RecordPage']
export type Person = S['Person']
export type Problem = S['Problem']
export type Queue = S['Queue']
export type Row = S['RecordRow']
export type SearchResult = S['SearchResult']
export type Session = S['Session']
export type SetupState = S['SetupState']
export type ClockMeasure = S['ClockMeasure']
export type Sheet = S['Sheet']
export type Shift = S['Shift']
export type Similar = S['Similar']
export type Snippet = S['Snippet']
export type TimelineEntry = S['TimelineEntry']
export type User = S['User']
export type Value = S['Value']
export type Workbench = S['Workbench']

export interface Text {
  zh: string
  en: string
}
export interface Field {
  key: string
  title: Text
  type: 'text' | 'label' | 'int' | 'money' | 'bool' | 'date' | 'time' | 'code' | 'codes' | 'org' | 'orgs' | 'account' | 'point' | 'group'
  table?: string
  required?: boolean
  max?: number
  min?: number
  sensitivity?: string
  mask?: string
  lines?: number
  future?: boolean
  fields?: Field[]
  default?: string
}
export type Action = Omit<S['Action'], 'inputs'> & { inputs?: Field[] }
export type RecordView = Omit<S['Record'], 'actions'> & { actions: Action[] }
export interface KindState {
  id: string
  title: Text
  closed?: boolean
  tone?: string
}
export interface StepDef {
  id: string
  title: Text
  effect: string
  roles: string[]
  fields?: { key: string; required?: boolean }[]
  inputs?: Field[]
}
export interface DocumentType {
  id: string
  no: number
  title: Text
  fields?: Field[]
  many?: boolean
  scan?: boolean
  paper?: string
}
export interface Kind {
  id: string
  version: number
  title: Text
  family: string
  fields: Field[]
  states: KindState[]
  steps: StepDef[]
  clocks?: { id: string; title: Text }[]
  documents?: DocumentType[]
  /** tables of its own, beside the catalogue's. */
  tables?: { id: string; codes: Option[] }[]
}
export type Catalogue = Omit<S['Catalogue'], 'kinds'> & { kinds: Kind[] }
