// The wall's three requests. None waits for a sign-in: nobody sits here.
import { api } from '../shared/api'
import type { components } from '../shared/schema'
import { useSession } from '../shared/stores/session'

export type Snapshot = components['schemas']['WallSnapshot']
export type Beat = components['schemas']['WallBeat']

export const getSnapshot = (signal: AbortSignal) => api.get('/wall/snapshot', { anonymous: true, signal })
export const getOutlines = () => api.get('/wall/outlines', { anonymous: true }) as Promise<unknown> as Promise<object>
export async function sendBeat(body: Beat): Promise<void> {
  const store = useSession()
  store.session ??= await api.get('/session', { anonymous: true }).catch(() => null) // a display has none
  await api.post('/wall/beat', { body, anonymous: true })
}
