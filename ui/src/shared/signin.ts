// Signing in: by password, by a code of the emergency sheet, and the new
// password that a first sign-in asks for.
import { computed, ref } from 'vue'
import { api } from './api'
import { t } from './i18n'
import { useTask } from './resource'
import { useSession } from './stores/session'
import type { Session } from './types'

export type Mode = 'password' | 'glass' | 'change'

export function useSignIn() {
  const store = useSession()
  const username = ref(store.session?.user.username ?? '')
  const password = ref('')
  const fresh = ref('')
  const again = ref('')
  const code = ref('')
  const name = ref('')
  const mode = ref<Mode>('password')
  const { busy, problem, run } = useTask()
  let pending: Session | null = null

  function arrived(s: Session) {
    if (!s.must_change_password) return store.signedIn(s)
    pending = s
    store.session = s
    mode.value = 'change'
  }
  async function change() {
    if (fresh.value !== again.value) throw new Error(t('sign.differ'))
    await api.post('/session/password', { body: { old: password.value, new: fresh.value } })
    store.signedIn({ ...pending!, must_change_password: false })
  }
  const ways: Record<Mode, () => Promise<unknown>> = {
    password: async () => arrived(await api.post('/session', { body: { username: username.value, password: password.value }, anonymous: true })),
    glass: async () => arrived(await api.post('/session/break-glass', { body: { code: code.value, name: name.value }, anonymous: true })),
    change,
  }
  const submit = () => run(ways[mode.value])
  const verb = computed(() => t(mode.value === 'change' ? 'sign.change' : 'sign.in'))
  return { username, password, fresh, again, code, name, mode, busy, problem, submit, verb }
}
