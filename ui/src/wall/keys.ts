import type { ComputedRef, InjectionKey } from 'vue'
import type { Freshness, Snapshot } from './feed'

export const feedKey: InjectionKey<{ data: Partial<Snapshot>; freshness: ComputedRef<Freshness> }> = Symbol('feed')
