// What is being typed is kept on this PC within a second and on the box
// within five, so that a power cut, a crash or an upgrade loses nothing.
import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import { api } from './api'
import { useSession } from './stores/session'

export interface Draft {
  id: string
  form: string
  saved_at: number
  data: Record<string, unknown>
}
interface Kept extends Draft {
  user: string
}
interface Schema extends DBSchema {
  drafts: { key: [string, string]; value: Kept; indexes: { user: string } }
}
let opened: Promise<IDBPDatabase<Schema>> | null = null
function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('fengqiao', 1, {
    upgrade: (db) => { db.createObjectStore('drafts', { keyPath: ['user', 'id'] }).createIndex('user', 'user') },
    terminated: () => { opened = null },
  })
  return opened
}
const user = () => useSession().session?.user.id ?? ''

const localPause = 300
const remotePause = 4000

/** DraftKeeper keeps one form; `later` is setTimeout but in tests. */
export class DraftKeeper {
  private local = 0
  private remote = 0
  private newest: Kept | null = null

  constructor(
    readonly id: string,
    readonly form: string,
    private readonly later: (f: () => void, ms: number) => number = (f, ms) => window.setTimeout(f, ms),
  ) {}

  save(data: Record<string, unknown>) {
    this.newest = { user: user(), id: this.id, form: this.form, saved_at: Date.now(), data: JSON.parse(JSON.stringify(data)) }
    clearTimeout(this.local)
    this.local = this.later(() => void this.keep(), localPause)
    this.remote ||= this.later(() => void this.send(), remotePause)
  }
  private async keep() {
    if (this.newest) await (await database()).put('drafts', this.newest)
  }
  private async send() {
    this.remote = 0
    const d = this.newest
    if (!d) return
    // Away from the box the draft stays here and goes with the next change.
    await api.put('/drafts/{id}', { path: { id: d.id }, body: { form: d.form, data: d.data } }).catch(() => undefined)
  }
  async forget() {
    clearTimeout(this.local)
    clearTimeout(this.remote)
    this.remote = 0
    this.newest = null
    await (await database()).delete('drafts', [user(), this.id])
    await api.del('/drafts/{id}', { path: { id: this.id } })
  }
}

/** drafts lists what this PC or the box remembers of a form, newest first. */
export async function drafts(form: string): Promise<Draft[]> {
  const found = new Map<string, Draft>()
  for (const d of [...(await remembered()), ...(await (await database()).getAllFromIndex('drafts', 'user', user()))]) {
    const other = found.get(d.id)
    if (!other || other.saved_at < d.saved_at) found.set(d.id, d)
  }
  return [...found.values()].filter((d) => d.form === form).sort((a, b) => b.saved_at - a.saved_at)
}
async function remembered(): Promise<Draft[]> {
  try {
    return (await api.get('/drafts')).items as Draft[]
  } catch {
    return [] // the box is away: what is here must do
  }
}
