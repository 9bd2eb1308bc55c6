import { createRootRoute, createRoute, createRouter, type RouteComponent } from '@tanstack/react-router'
import { Waiting } from './parts/page.tsx'
import { pageFile } from './parts/page-file.tsx'
import { Problem } from './parts/problem.tsx'
import { Nowhere } from './shell/nowhere.tsx'
import { Shell } from './shell/shell.tsx'

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: Nowhere })

const page = <P extends string>(path: P, component: RouteComponent) =>
  createRoute({ getParentRoute: () => rootRoute, path, component })

/** The map: every page and its file. */
const routeTree = rootRoute.addChildren([
  page(
    '/',
    pageFile(() => import('./pages/home.tsx'), 'HomePage'),
  ),
  page(
    '/launch',
    pageFile(() => import('./pages/launch-wizard.tsx'), 'LaunchWizardPage'),
  ),
  page(
    '/launches',
    pageFile(() => import('./pages/launches.tsx'), 'LaunchesPage'),
  ),
  page(
    '/launches/$id',
    pageFile(() => import('./pages/launch.tsx'), 'LaunchPage'),
  ),
  page(
    '/launches/$id/transcript',
    pageFile(() => import('./pages/transcript.tsx'), 'TranscriptPage'),
  ),
  page(
    '/fleet',
    pageFile(() => import('./pages/fleet.tsx'), 'FleetPage'),
  ),
  page(
    '/nodes/$id',
    pageFile(() => import('./pages/node.tsx'), 'NodePage'),
  ),
  page(
    '/deployments',
    pageFile(() => import('./pages/deployments.tsx'), 'DeploymentsPage'),
  ),
  page(
    '/deployments/$id',
    pageFile(() => import('./pages/deployment.tsx'), 'DeploymentPage'),
  ),
  page(
    '/playground',
    pageFile(() => import('./pages/playground.tsx'), 'PlaygroundPage'),
  ),
  page(
    '/keys',
    pageFile(() => import('./pages/keys.tsx'), 'KeysPage'),
  ),
  page(
    '/people',
    pageFile(() => import('./pages/people.tsx'), 'PeoplePage'),
  ),
  page(
    '/audit',
    pageFile(() => import('./pages/audit.tsx'), 'AuditPage'),
  ),
  page(
    '/settings',
    pageFile(() => import('./pages/settings.tsx'), 'SettingsPage'),
  ),
])

export const router = createRouter({
  routeTree,
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultPendingComponent: Waiting,
  defaultErrorComponent: ({ error }) => <Problem of={error} />,
  // An address is written by hand and sent around: plain names and values, all of them text.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const text = new URLSearchParams(search as Record<string, string>).toString()
    return text && `?${text}`
  },
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
