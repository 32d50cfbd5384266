// The wall's three requests. None waits for a sign-in: nobody sits here.
import { api, session, type Session } from '../shared/api'
import type { components } from '../shared/schema'

export type Snapshot = components['schemas']['WallSnapshot']
export type Beat = components['schemas']['WallBeat']

export const getSnapshot = (signal: AbortSignal) => api.get<Snapshot>('/wall/snapshot', { anonymous: true, signal })
export const getOutlines = () => api.get<object>('/wall/outlines', { anonymous: true })
export async function sendBeat(body: Beat): Promise<void> {
  session.value ??= await api.get<Session>('/session', { anonymous: true }).catch(() => null) // a display has none
  await api.post('/wall/beat', body, { anonymous: true })
}
