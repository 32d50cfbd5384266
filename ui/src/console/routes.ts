import type { RouteRecordRaw } from 'vue-router'

export const routes: RouteRecordRaw[] = [
  { path: '/', component: () => import('./views/WorkbenchView.vue') },
  { path: '/new/:kind?', name: 'new', component: () => import('./views/NewView.vue') },
  { path: '/records', component: () => import('./views/RecordsView.vue') },
  { path: '/r/:id', component: () => import('./views/RecordView.vue') },
  { path: '/search', component: () => import('./views/SearchView.vue') },
  { path: '/duty', component: () => import('./views/DutyView.vue') },
  { path: '/import', component: () => import('./views/ImportsView.vue') },
  { path: '/admin', component: () => import('./admin/AdminHome.vue') },
  { path: '/admin/accounts', component: () => import('./admin/AccountsView.vue') },
  { path: '/admin/roles', component: () => import('./admin/RolesView.vue') },
  { path: '/admin/organisations', component: () => import('./admin/OrganisationsView.vue') },
  { path: '/admin/calendar', component: () => import('./admin/CalendarView.vue') },
  { path: '/admin/kinds', component: () => import('./admin/KindsView.vue') },
  { path: '/admin/displays', component: () => import('./admin/DisplaysView.vue') },
  { path: '/admin/clock', component: () => import('./admin/ClockView.vue') },
  { path: '/admin/audit', component: () => import('./admin/AuditView.vue') },
  { path: '/admin/health', component: () => import('./admin/HealthView.vue') },
  { path: '/:rest(.*)', redirect: '/' },
]
