import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { Waiting } from './parts/page.tsx'
import { Problem } from './parts/problem.tsx'
import { Nowhere } from './shell/nowhere.tsx'
import { Shell } from './shell/shell.tsx'

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: Nowhere })

/** One page: a file of its own, fetched when it is first opened. */
const page = <P extends string>(path: P, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => rootRoute, path, component })

/** The map: every page and its file. */
const routeTree = rootRoute.addChildren([
  page(
    '/',
    lazyRouteComponent(() => import('./pages/home.tsx'), 'HomePage'),
  ),
  page(
    '/launch',
    lazyRouteComponent(() => import('./pages/launch-wizard.tsx'), 'LaunchWizardPage'),
  ),
  page(
    '/launches',
    lazyRouteComponent(() => import('./pages/launches.tsx'), 'LaunchesPage'),
  ),
  page(
    '/launches/$id',
    lazyRouteComponent(() => import('./pages/launch.tsx'), 'LaunchPage'),
  ),
  page(
    '/launches/$id/transcript',
    lazyRouteComponent(() => import('./pages/transcript.tsx'), 'TranscriptPage'),
  ),
  page(
    '/fleet',
    lazyRouteComponent(() => import('./pages/fleet.tsx'), 'FleetPage'),
  ),
  page(
    '/nodes/$id',
    lazyRouteComponent(() => import('./pages/node.tsx'), 'NodePage'),
  ),
  page(
    '/deployments',
    lazyRouteComponent(() => import('./pages/deployments.tsx'), 'DeploymentsPage'),
  ),
  page(
    '/deployments/$id',
    lazyRouteComponent(() => import('./pages/deployment.tsx'), 'DeploymentPage'),
  ),
  page(
    '/playground',
    lazyRouteComponent(() => import('./pages/playground.tsx'), 'PlaygroundPage'),
  ),
  page(
    '/keys',
    lazyRouteComponent(() => import('./pages/keys.tsx'), 'KeysPage'),
  ),
  page(
    '/people',
    lazyRouteComponent(() => import('./pages/people.tsx'), 'PeoplePage'),
  ),
  page(
    '/audit',
    lazyRouteComponent(() => import('./pages/audit.tsx'), 'AuditPage'),
  ),
  page(
    '/settings',
    lazyRouteComponent(() => import('./pages/settings.tsx'), 'SettingsPage'),
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
