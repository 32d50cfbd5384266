// Who is signed in here. When a session ends, requests wait in line until
// somebody has signed in again over what is being done.
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { pinia } from '../pinia'
import type { Session } from '../types'

const define = defineStore('session', () => {
  const session = ref<Session | null>(null)
  /** signInNeeded shows the sign-in panel over whatever is being done. */
  const signInNeeded = ref(false)
  let waiting: (() => void)[] = []

  const roles = computed(() => session.value?.grants.map((g) => g.role) ?? [])
  const has = (...any: string[]) => any.some((r) => roles.value.includes(r))
  const isAdmin = computed(() => has('system_admin', 'security_admin', 'audit_admin'))
  const runsDesk = computed(() => has('duty_officer', 'leader'))

  function signedIn(s: Session) {
    session.value = s
    signInNeeded.value = false
    const go = waiting
    waiting = []
    go.forEach((f) => f())
  }
  /** askAgain resolves when somebody has signed in again. */
  function askAgain(): Promise<void> {
    signInNeeded.value = true
    return new Promise((r) => waiting.push(r))
  }
  return { session, signInNeeded, roles, has, isAdmin, runsDesk, signedIn, askAgain }
})
export const useSession = () => define(pinia)
