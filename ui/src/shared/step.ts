// A step, as its definition asks: fields, inputs, addressee, note. When
// somebody else acted meanwhile it keeps what was typed and shows what
// changed, to repeat or drop.
import { computed, ref } from 'vue'
import { api, ApiError, fieldErrors, newKey, sentence } from './api'
import { t, type Key } from './i18n'
import { useReference } from './stores/reference'
import type { Action, DocumentType, Field, Kind, RecordView, TimelineEntry } from './types'

export type Values = Record<string, unknown>
export interface Asked {
  path: string
  field: Field
  required: boolean
}
export const limits = ['24h', '1wd', '3wd', '5wd', '10wd', '15d', '30d']
const colours = ['normal', 'yellow', 'red']
const clockEffects = ['ask_extension', 'extend', 'card', 'lift_card']
const offerEffects = ['take_over', 'return_offer', 'withdraw_offer']

/** labels of the inputs that effects ask for beside the definition's own. */
const own = (key: string, type: Field['type'], label: Key, table?: string): Field => ({ key, type, title: { zh: t(label), en: t(label) }, table, required: true })
function ownInputs(action: Action): Field[] {
  const out: Field[] = []
  if (action.holder === 'to' || action.effect === 'offer') out.push(own('to', 'org', 'step.to'))
  if (action.effect === 'assist') out.push(own('targets', 'orgs', 'step.helpers'))
  if (action.effect === 'copy') out.push(own('targets', 'orgs', 'step.copies'))
  if (action.effect === 'merge_into') out.push(own('record', 'label', 'step.main'))
  if (action.effect === 'link') out.push(own('record', 'label', 'step.other'), own('relation', 'code', 'step.relation', 'relation'))
  return out
}

/** shownValues are the values that this person sees whole, under a path. */
function shownValues(record: RecordView, under: (path: string) => boolean): Values {
  const open = Object.entries(record.fields).filter(([p, v]) => under(p) && !v.masked && !v.hidden && v.v !== undefined)
  return Object.fromEntries(open.map(([p, v]) => [p, v.v]))
}
const within = (key: string) => (path: string) => path === key || path.startsWith(`${key}/`)

export function useStep(record: RecordView, action: Action, preset?: { document: string; item: number }) {
  const kind = useReference().kind(record.kind) as Kind
  const values = ref<Values>({})
  const inputs = ref<Values>({})
  const note = ref('')
  const errors = ref<Record<string, string>>({})
  const problem = ref('')
  const changes = ref<TimelineEntry[]>([])
  const busy = ref(false)
  const amended = ref('')
  let seen = record.version
  let key = newKey()
  let before: Values = {}

  const amends = action.effect === 'amend'
  const amendable = kind.fields.filter((f) => f.type !== 'group' && f.type !== 'point')
  const picksDocument = ['document', 'void_document'].includes(action.effect)
  const wantsClock = clockEffects.includes(action.effect)
  const wantsLimit = ['ask_extension', 'extend'].includes(action.effect)
  const wantsColour = ['card', 'lift_card'].includes(action.effect)
  const clocks = record.clocks.filter((c) => c.state !== 'stopped')

  const asked = computed<Asked[]>(() => {
    if (amends) return amendable.filter((f) => f.key === amended.value).map((f) => ({ path: f.key, field: f, required: false }))
    return (action.fields ?? []).filter((f) => !f.value).flatMap((f) => {
      const field = kind.fields.find((x) => x.key === f.key)
      return field ? [{ path: f.key, field, required: !!f.required }] : []
    })
  })
  const extra = [...(kind.steps.find((s) => s.id === action.step)?.inputs ?? action.inputs ?? []), ...ownInputs(action)]

  const document = computed<DocumentType | undefined>(() => kind.documents?.find((d) => d.id === (action.document || inputs.value.document)))
  const documentPath = computed(() => `documents/${document.value?.id}/${inputs.value.item ?? 0}`)
  const documentFields = computed<Asked[]>(() =>
    action.effect !== 'document' ? [] : (document.value?.fields ?? []).map((f) => ({ path: `${documentPath.value}/${f.key}`, field: f, required: !!f.required })))

  /** chooseDocument starts a document, or its next item, from what is known. */
  function chooseDocument(id: string, item?: number) {
    inputs.value.document = id
    const d = kind.documents?.find((x) => x.id === id)
    const filed = (record.documents ?? []).filter((x) => x.type === id)
    inputs.value.item = item ?? (d?.many ? filed.length : 0)
    if (action.effect !== 'document') return
    const same = shownValues(record, within(documentPath.value))
    for (const f of d?.fields ?? []) {
      const known = shownValues(record, (p) => p === f.key)[f.key]
      if (known !== undefined) same[`${documentPath.value}/${f.key}`] ??= known
    }
    values.value = same
  }
  function chooseAmended(key: string) {
    amended.value = key
    before = shownValues(record, within(key))
    values.value = { ...before }
  }

  function begin() {
    for (const a of asked.value) Object.assign(before, shownValues(record, within(a.path)))
    values.value = { ...before }
    if (wantsClock && clocks.length) inputs.value.clock = clocks[0].id
    if (wantsLimit) inputs.value.limit = record.asked?.[0]?.limit ?? '3wd'
    if (wantsColour) inputs.value.colour = 'yellow'
    if (wantsColour) inputs.value.round = 1
    if (picksDocument) chooseDocument(action.document || preset?.document || (kind.documents?.[0]?.id ?? ''), preset?.item)
    const offer = record.timeline.filter((e) => e.effect === 'offer').pop()
    if (offer && offerEffects.includes(action.effect)) inputs.value.offer = offer.op
  }
  begin()

  const set = (path: string, v: unknown) => {
    values.value = { ...values.value, [path]: v }
    delete errors.value[path]
  }
  const setInput = (path: string, v: unknown) => {
    inputs.value = { ...inputs.value, [path]: v }
    delete errors.value[path]
  }
  /** changed are the values that differ from what was shown. */
  const changed = () => Object.fromEntries(Object.entries(values.value).filter(([p, v]) => v !== before[p] && (v !== '' || before[p] !== undefined)))
  const filled = (m: Values) => Object.fromEntries(Object.entries(m).filter(([, v]) => v !== undefined && v !== ''))

  /** send gives the new record, or null where something is in the way. */
  async function send(): Promise<RecordView | null> {
    if (busy.value) return null
    busy.value = true
    problem.value = ''
    errors.value = {}
    try {
      const body = { seen, fields: changed(), inputs: filled(inputs.value), note: note.value }
      return (await api.post('/records/{id}/steps/{step}', { path: { id: record.id, step: action.step }, body, key })) as RecordView
    } catch (e) {
      refused(e)
      return null
    } finally {
      busy.value = false
    }
  }
  function refused(e: unknown) {
    key = newKey() // what is sent next is another request
    problem.value = sentence(e)
    errors.value = Object.fromEntries(Object.entries(fieldErrors(e)).map(([f, m]) => [f.replace(/^_/, ''), m]))
    if (!(e instanceof ApiError) || e.problem.code !== 'changed_meanwhile') return
    changes.value = e.problem.changes ?? []
    seen = e.problem.version ?? seen
  }

  return {
    kind, values, inputs, note, errors, problem, changes, busy, asked, extra, clocks, colours,
    amends, amendable, amended, chooseAmended, picksDocument, document, documentFields, chooseDocument,
    wantsClock, wantsLimit, wantsColour, set, setInput, send,
  }
}
