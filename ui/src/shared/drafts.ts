// What is being typed is kept on this PC within a second and on the box
// within five, so that a power cut, a crash or an upgrade loses nothing.
import { api, session } from './api'

export interface Draft { id: string; form: string; saved_at: number; data: Record<string, unknown> }
const prefix = () => `draft:${session.value?.user.id ?? ''}:`

export class DraftKeeper {
  private local = 0
  private remote = 0
  constructor(readonly id: string, readonly form: string, private readonly later: (f: () => void, ms: number) => number = (f, ms) => window.setTimeout(f, ms)) {}

  save(data: Record<string, unknown>) {
    const copy: Draft = { id: this.id, form: this.form, saved_at: Date.now(), data: { ...data } }
    clearTimeout(this.local)
    this.local = this.later(() => localStorage.setItem(prefix() + this.id, JSON.stringify(copy)), 300)
    if (!this.remote) {
      this.remote = this.later(() => {
        this.remote = 0
        const newest = localStorage.getItem(prefix() + this.id)
        if (newest) void api.put(`/drafts/${this.id}`, { form: this.form, data: JSON.parse(newest).data }).catch(() => undefined) // kept here; sent with the next change
      }, 4000)
    }
  }

  async forget() {
    clearTimeout(this.local)
    clearTimeout(this.remote)
    this.remote = 0
    localStorage.removeItem(prefix() + this.id)
    await api.del(`/drafts/${this.id}`)
  }
}

/** drafts lists what this PC or the box remembers, newest first. */
export async function drafts(form: string): Promise<Draft[]> {
  const found = new Map<string, Draft>()
  try {
    for (const d of (await api.get<{ items: Draft[] }>('/drafts')).items) found.set(d.id, d)
  } catch { /* the box is away: what is here must do */ }
  for (let i = 0; i < localStorage.length; i++) {
    const key = localStorage.key(i)!
    if (!key.startsWith(prefix())) continue
    const d = JSON.parse(localStorage.getItem(key)!) as Draft
    const other = found.get(d.id)
    if (!other || other.saved_at < d.saved_at) found.set(d.id, d)
  }
  return [...found.values()].filter((d) => d.form === form).sort((a, b) => b.saved_at - a.saved_at)
}
