import type { LaunchDetail } from '../../src/wire/views.ts'

/** Addresses by a name for each. */
export type Pages = Readonly<Record<string, string>>

/** A step of the wizard, with what was chosen until then. */
export const step = (name: string, chosen: Readonly<Record<string, string>>): string =>
  `/launch?${new URLSearchParams({ step: name, ...chosen })}`

/** Every page, those of one launch with the node and the deployment of it. */
export const everyPage = (of: LaunchDetail): Pages => ({
  start: '/',
  wizard: '/launch',
  'wizard-configuration': step('configuration', { model: of.model }),
  'wizard-instance': step('instance', { model: of.model }),
  'wizard-summary': step('summary', { model: of.model }),
  launches: '/launches',
  launch: `/launches/${of.id}`,
  transcript: `/launches/${of.id}/transcript`,
  fleet: '/fleet',
  node: `/nodes/${of.attempts.at(-1)?.nodeId}`,
  deployments: '/deployments',
  deployment: `/deployments/${of.deploymentId}`,
  playground: '/playground',
  keys: '/keys',
  people: '/people',
  audit: '/audit',
  settings: '/settings',
  nowhere: '/nowhere',
})

/** Those that say so where there is nothing, on an install in which nothing was launched. */
export const emptyPages: Pages = {
  start: '/',
  'wizard-unfound': '/launch?search=nothing-like-that',
  'wizard-unknown': step('instance', { model: 'nothing-like-that' }),
  launches: '/launches',
  fleet: '/fleet',
  deployments: '/deployments',
  playground: '/playground',
  keys: '/keys',
  audit: '/audit?who=nobody',
  settings: '/settings',
}

/** Steps of the wizard in which something cannot be asked for, or would be refused. */
export const refusedSteps = (model: string): Pages => ({
  'wizard-marked': step('configuration', { model, maxPrice: '$1', replicas: '0', args: 'trust-remote-code' }),
  'wizard-nothing': step('instance', { model, maxPrice: '0.01' }),
  'wizard-refused': step('summary', { model, maxPrice: '0.01' }),
})
