// One matter on screen: loading and keeping it fresh, who else looks at
// it, revealing masked values, attaching files.
import { computed, onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'
import { api, ApiError, sentence, upload } from './api'
import { fieldTitle, groupFacts } from './facts'
import { useReference } from './stores/reference'
import { useSession } from './stores/session'
import type { Action, RecordView, User } from './types'

const presencePause = 5000
const revealedFor = 60_000

export function useRecord(id: Ref<string>, tick: Ref<number>) {
  const reference = useReference()
  const session = useSession()
  const record = ref<RecordView | null>(null)
  const problem = ref('')
  const gone = ref(false)
  const others = ref<User[]>([])
  const kind = computed(() => reference.kind(record.value?.kind ?? ''))
  const facts = computed(() => (record.value && kind.value ? groupFacts(kind.value, record.value.fields) : null))

  async function load() {
    try {
      record.value = (await api.get('/records/{id}', { path: { id: id.value } })) as RecordView
      problem.value = ''
    } catch (e) {
      gone.value = e instanceof ApiError && e.problem.status === 404
      problem.value = sentence(e)
    }
  }
  async function present() {
    if (!record.value || document.hidden) return
    try {
      others.value = (await api.post('/records/{id}/presence', { path: { id: id.value } })).others
    } catch {
      others.value = [] // a courtesy only: nothing depends on it
    }
  }
  // Opening what was sent to me is reading it.
  async function receipt() {
    if (!record.value?.unread) return
    try {
      await api.post('/records/{id}/steps/{step}', { path: { id: id.value, step: 'receipt' }, body: {} })
      await load()
    } catch {
      // The mark stays; opening it again tries again.
    }
  }

  const ofMoves = ['move', 'take_over', 'return_offer', 'document', 'offer']
  const actionsOf = (want: (a: Action) => boolean) => record.value?.actions.filter(want) ?? []
  const mainActions = computed(() => actionsOf((a) => ofMoves.includes(a.effect)))
  const moreActions = computed(() => actionsOf((a) => !ofMoves.includes(a.effect)))
  const mayAttach = computed(() => !!kind.value?.steps.some((s) => s.effect === 'attach' && session.has(...s.roles)))

  const { revealed, reveal } = useReveal(id)
  const files = useFiles(id, load)

  watch([id, tick], load)
  let timer = 0
  onMounted(async () => {
    await load()
    await present()
    timer = window.setInterval(present, presencePause)
    await receipt()
  })
  onBeforeUnmount(() => clearInterval(timer))

  const title = (path: string) => (kind.value ? fieldTitle(kind.value, path) : path)
  return { record, kind, facts, problem, gone, others, load, mainActions, moreActions, mayAttach, revealed, reveal, title, ...files }
}

function useReveal(id: Ref<string>) {
  const revealed = ref<Record<string, string>>({})
  async function reveal(path: string, reason: string) {
    const r = await api.post('/records/{id}/reveal', { path: { id: id.value }, body: { path, reason } })
    revealed.value = { ...revealed.value, [path]: r.value }
    window.setTimeout(() => {
      const rest = { ...revealed.value }
      delete rest[path]
      revealed.value = rest
    }, revealedFor)
  }
  return { revealed, reveal }
}

function useFiles(id: Ref<string>, load: () => Promise<void>) {
  const progress = ref<{ name: string; percent: number } | null>(null)
  const fileProblem = ref('')
  async function attach(list: File[], documentType: string) {
    fileProblem.value = ''
    for (const f of list) {
      try {
        progress.value = { name: f.name, percent: 0 }
        await upload(id.value, f, documentType, (percent) => { progress.value = { name: f.name, percent } })
      } catch (e) {
        fileProblem.value = `${f.name}: ${sentence(e)}`
      }
    }
    progress.value = null
    await load()
  }
  return { progress, fileProblem, attach }
}
