// A new matter of a kind: drafts while typing, likely duplicates and the
// caller's earlier matters, saving once whatever happens on the way.
import { computed, nextTick, onMounted, ref, watch, type Ref } from 'vue'
import { api, fieldErrors, newKey, sentence } from './api'
import { DraftKeeper, drafts, type Draft } from './drafts'
import { defaults, useReference } from './stores/reference'
import { useSession } from './stores/session'
import type { Duplicate, Kind, RecordView, Row } from './types'

const families = ['event', 'mediation', 'petition', 'notice']
// What a desk needs at once comes first; everything else can follow.
const usual = ['title', 'village', 'type', 'urgency', 'content', 'reporter_name', 'reporter_phone', 'source', 'people', 'parties', 'committee', 'assigned', 'facts', 'claims']
const outcomes = ['solved', 'result', 'method', 'rating', 'rating_text', 'outcome']
const lookPause = 300

/** createStep is the step by which this person may begin a kind. */
export function createStep(kind: Kind) {
  const session = useSession()
  return kind.steps.find((s) => s.effect === 'create' && s.id !== 'import' && session.has(...s.roles))
}
/** creatable are the kinds that this person may begin. */
export const creatable = () => (useReference().catalogue?.kinds ?? []).filter((k) => families.includes(k.family) && createStep(k))

export function useIntake(kindID: Ref<string>, changeKind: (id: string) => void, saved: (r: RecordView) => void) {
  const reference = useReference()
  const kind = computed(() => reference.kind(kindID.value))
  const kinds = computed(creatable)
  const values = ref<Record<string, unknown>>({})
  const errors = ref<Record<string, string>>({})
  const problem = ref('')
  const busy = ref(false)
  const all = ref(false)
  const draftKept = ref(false)
  const earlier = ref<Row[]>([])
  const duplicates = ref<Duplicate[]>([])
  const found = ref<Draft[]>([])
  let key = newKey()
  let keeper = new DraftKeeper(newKey().slice(0, 20), 'intake')

  const place = (key: string) => (usual.includes(key) ? usual.indexOf(key) : usual.length)
  const fields = computed(() => (kind.value?.fields ?? []).filter((f) => f.type !== 'point' && !outcomes.includes(f.key)))
  const shown = computed(() => fields.value.filter((f) => all.value || f.required || usual.includes(f.key)).sort((a, b) => place(a.key) - place(b.key)))

  function begin() {
    values.value = defaults((kind.value?.fields ?? []).filter((f) => f.type !== 'group'))
    errors.value = {}
    problem.value = ''
    earlier.value = []
    duplicates.value = []
  }
  watch(kindID, begin, { immediate: true })
  onMounted(async () => { found.value = await drafts('intake').catch(() => []) })

  function set(path: string, v: unknown) {
    const next = { ...values.value, [path]: v }
    if (v === undefined) delete next[path]
    values.value = next
    delete errors.value[path]
    keeper.save({ ...next, kind: kindID.value })
    draftKept.value = true
    look()
  }
  let looking = 0
  function look() {
    clearTimeout(looking)
    looking = window.setTimeout(async () => {
      try {
        const s = await api.post('/similar', { body: { kind: kindID.value, fields: filled() } })
        earlier.value = s.people
        duplicates.value = s.duplicates
      } catch {
        // Hints only: the form goes on without them.
      }
    }, lookPause)
  }

  async function restore(d: Draft) {
    const { kind: id, ...rest } = d.data
    if (id !== kindID.value) changeKind(id as string)
    await nextTick()
    values.value = rest
    keeper = new DraftKeeper(d.id, 'intake')
    found.value = []
  }
  async function discard(d: Draft) {
    found.value = found.value.filter((x) => x.id !== d.id)
    await new DraftKeeper(d.id, 'intake').forget().catch(() => undefined) // offered again, nothing worse
  }

  const filled = () => Object.fromEntries(Object.entries(values.value).filter(([, v]) => v !== '' && v !== undefined && v !== null))
  async function save() {
    if (busy.value || !kind.value) return
    busy.value = true
    problem.value = ''
    errors.value = {}
    try {
      const r = (await api.post('/records', { body: { kind: kindID.value, step: createStep(kind.value)?.id, fields: filled() }, key })) as RecordView
      await keeper.forget().catch(() => undefined) // an old draft is offered again, nothing worse
      saved(r)
    } catch (e) {
      problem.value = sentence(e)
      errors.value = fieldErrors(e)
      key = newKey() // what is sent next is another request
    } finally {
      busy.value = false
    }
  }
  return { kind, kinds, values, errors, problem, busy, all, draftKept, earlier, duplicates, found, shown, begin, set, restore, discard, save }
}
