// The one way to the server: credentials, CSRF, idempotency keys, problems
// as sentences. Nothing typed is lost when a session ends: the request
// waits until somebody has signed in again and goes out with the same key.
import createClient from 'openapi-fetch'
import { lang, t } from './i18n'
import type { paths } from './schema'
import { useSession } from './stores/session'
import type { Problem } from './types'

export type * from './types'

const base = `${location.origin}/api/v1`

/** ApiError carries the server's sentence; `message` is fit for people. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail)
  }
}
const offline = () => new ApiError({ type: 'about:blank', title: '', code: 'offline', detail: t('error.offline'), status: 0, request_id: '' })
const unreadable = (status: number, request: string) =>
  new ApiError({ type: 'about:blank', title: '', code: 'unreadable', detail: t('error.unreadable'), status, request_id: request })

export function newKey(): string {
  const b = new Uint8Array(16)
  crypto.getRandomValues(b) // randomUUID is missing on plain http
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')
}
const language = () => (lang.value === 'en' ? 'en' : 'zh-CN')

async function reach(request: Request): Promise<Response> {
  try {
    return await fetch(request)
  } catch (e) {
    if ((e as Error).name === 'AbortError') throw e
    throw offline()
  }
}
async function readProblem(response: Response): Promise<ApiError> {
  try {
    const p = (await response.json()) as Problem
    if (p?.detail) return new ApiError(p)
  } catch {
    // Not JSON: an answer from something in between, told as such below.
  }
  return unreadable(response.status, response.headers.get('X-Request-ID') ?? '')
}
const ended = (p: Problem) => (p.status === 401 && p.code === 'session_expired') || p.code === 'csrf'

/** send delivers one request; with a session that ended, after a new sign-in. */
async function send(request: Request): Promise<Response> {
  const store = useSession()
  const signIn = request.headers.has('X-Anonymous')
  request.headers.delete('X-Anonymous')
  if (request.method !== 'GET' && store.session) request.headers.set('X-CSRF-Token', store.session.csrf)
  const again = request.clone()
  const response = await reach(request)
  if (response.ok) return response
  const error = await readProblem(response)
  if (!ended(error.problem) || signIn || !store.session) throw error
  await store.askAgain()
  return send(again)
}

const client = createClient<paths>({ baseUrl: base, fetch: send, credentials: 'same-origin' })
client.use({
  onRequest({ request }) {
    request.headers.set('Accept-Language', language())
    if (request.method !== 'GET' && !request.headers.has('Idempotency-Key')) request.headers.set('Idempotency-Key', newKey())
    return request
  },
})

type Method = 'get' | 'post' | 'put' | 'delete'
type PathOf<M extends Method> = { [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never }[keyof paths]
type Success<R> = R[keyof R & (200 | 201 | 204)]
/** Answer is what the document promises for a path and a method. */
export type Answer<P extends keyof paths, M extends Method> =
  paths[P][M] extends { responses: infer R } ? (Success<R> extends { content: { 'application/json': infer T } } ? T : undefined) : never
type BodyOf<P extends keyof paths, M extends Method> =
  paths[P][M] extends { requestBody: { content: { 'application/json': infer B } } } ? B : undefined

export interface Options<Body = unknown> {
  /** path fills the places of the path by name. */
  path?: Record<string, string>
  query?: Record<string, string | number | boolean | undefined>
  body?: Body
  /** file is sent as it is, under its own media type. */
  file?: { data: Blob | string; type: string }
  /** key repeats a request that may already have arrived. */
  key?: string
  /** anonymous requests are never held back for a sign-in. */
  anonymous?: boolean
  signal?: AbortSignal
}

async function call<P extends keyof paths, M extends Method>(method: M, path: P, o: Options<BodyOf<P, M>> = {}): Promise<Answer<P, M>> {
  const headers: Record<string, string> = {}
  if (o.key) headers['Idempotency-Key'] = o.key
  if (o.anonymous) headers['X-Anonymous'] = '1'
  if (o.file) headers['Content-Type'] = o.file.type
  const { data } = await client.request(method, path as never, {
    params: { path: o.path, query: o.query },
    body: o.file?.data ?? o.body,
    bodySerializer: o.file ? (x: unknown) => x : undefined,
    headers,
    signal: o.signal,
  } as never)
  return data as Answer<P, M>
}
export const api = {
  get: <P extends PathOf<'get'>>(path: P, o?: Options<undefined>) => call<P, 'get'>('get', path, o as never),
  post: <P extends PathOf<'post'>>(path: P, o?: Options<BodyOf<P, 'post'>>) => call<P, 'post'>('post', path, o),
  put: <P extends PathOf<'put'>>(path: P, o?: Options<BodyOf<P, 'put'>>) => call<P, 'put'>('put', path, o),
  del: <P extends PathOf<'delete'>>(path: P, o?: Options<undefined>) => call<P, 'delete'>('delete', path, o as never),
}

/** upload sends a file with progress in percent, which only XMLHttpRequest gives. */
export async function upload(id: string, file: File, documentType: string, progress: (percent: number) => void): Promise<void> {
  const key = newKey()
  for (;;) {
    const problem = await transfer(`${base}/records/${id}/files?${new URLSearchParams({ name: file.name, document: documentType })}`, file, key, progress)
    if (!problem) return
    if (!ended(problem.problem)) throw problem
    await useSession().askAgain()
  }
}
function transfer(url: string, file: File, key: string, progress: (percent: number) => void): Promise<ApiError | null> {
  return new Promise((resolve) => {
    const x = new XMLHttpRequest()
    x.open('PUT', url)
    x.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
    x.setRequestHeader('Idempotency-Key', key)
    x.setRequestHeader('X-CSRF-Token', useSession().session?.csrf ?? '')
    x.setRequestHeader('Accept-Language', language())
    x.upload.onprogress = (e) => {
      if (e.lengthComputable) progress(Math.round((e.loaded / e.total) * 100))
    }
    x.onerror = () => resolve(offline())
    x.onload = () => resolve(x.status < 300 ? null : transferProblem(x))
    x.send(file)
  })
}
function transferProblem(x: XMLHttpRequest): ApiError {
  try {
    return new ApiError(JSON.parse(x.responseText) as Problem)
  } catch {
    return unreadable(x.status, x.getResponseHeader('X-Request-ID') ?? '')
  }
}

/** sentence says any error for a person. */
export function sentence(e: unknown): string {
  if (!(e instanceof ApiError)) return e instanceof Error ? e.message : String(e)
  const details = e.problem.errors?.map((f) => f.message).filter(Boolean) ?? []
  const trace = e.problem.status >= 500 && e.problem.request_id ? ` (${t('error.trace')} ${e.problem.request_id})` : ''
  return [e.problem.detail, ...details].join(' ') + trace
}
/** fieldErrors gives the sentence of each field that an error names. */
export function fieldErrors(e: unknown): Record<string, string> {
  const list = e instanceof ApiError ? (e.problem.errors ?? []) : []
  return Object.fromEntries(list.map((f) => [f.field, f.message]))
}
