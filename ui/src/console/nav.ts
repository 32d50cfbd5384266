// What stands in the menu for whom. The server decides; this only leaves
// out what would be refused.
import { Avatar, Bell, Calendar, Collection, Cpu, DocumentAdd, House, Key, Monitor, OfficeBuilding, Search, Tickets, Timer, Upload, View } from '@element-plus/icons-vue'
import type { Component } from 'vue'
import type { Key as Text } from '../shared/i18n'
import type { useSession } from '../shared/stores/session'

export interface Entry {
  to: string
  text: Text
  icon: Component
}
const importers = ['duty_officer', 'leader', 'justice_officer', 'system_admin', 'security_admin']

export function entries(session: ReturnType<typeof useSession>): { title: Text; items: Entry[] }[] {
  const matters: Entry[] = session.isAdmin
    ? []
    : [
        { to: '/', text: 'nav.workbench', icon: House },
        { to: '/new', text: 'nav.new', icon: DocumentAdd },
        { to: '/records', text: 'nav.records', icon: Tickets },
        { to: '/search', text: 'nav.search', icon: Search },
        { to: '/duty', text: 'nav.duty', icon: Bell },
      ]
  if (session.has(...importers)) matters.push({ to: '/import', text: 'nav.import', icon: Upload })
  const admin: Entry[] = []
  if (session.has('security_admin')) {
    admin.push({ to: '/admin/accounts', text: 'admin.accounts', icon: Avatar })
  }
  if (session.has('system_admin')) {
    admin.push(
      { to: '/admin/organisations', text: 'admin.organisations', icon: OfficeBuilding },
      { to: '/admin/calendar', text: 'admin.calendar', icon: Calendar },
      { to: '/admin/kinds', text: 'admin.kinds', icon: Collection },
      { to: '/admin/displays', text: 'admin.displays', icon: Monitor },
      { to: '/admin/clock', text: 'clockset.title', icon: Timer },
    )
  }
  if (session.has('audit_admin')) admin.push({ to: '/admin/audit', text: 'admin.audit', icon: View })
  if (session.isAdmin) admin.push({ to: '/admin/roles', text: 'admin.roles', icon: Key })
  if (session.isAdmin || session.runsDesk) admin.push({ to: '/admin/health', text: 'nav.health', icon: Cpu })
  return [
    { title: 'nav.matters' as Text, items: matters },
    { title: 'nav.admin' as Text, items: admin },
  ].filter((g) => g.items.length)
}
