// Ctrl+Enter submits what is open, wherever the focus stands. It is caught
// before the lists of choices, which would open on it.
import { onBeforeUnmount, onMounted } from 'vue'

export function useSubmitKey(submit: () => unknown) {
  function onKey(e: KeyboardEvent) {
    if (e.isComposing || e.key !== 'Enter' || !e.ctrlKey) return
    e.preventDefault()
    e.stopPropagation()
    void submit()
  }
  onMounted(() => window.addEventListener('keydown', onKey, true))
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey, true))
}
