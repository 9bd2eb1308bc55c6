// No schema library here: the agent bundles these constants, and it may hold no npm package.
/** Paths of the control plane that agents call. */
export const agentPaths = {
  join: '/agent/join',
  heartbeat: '/agent/heartbeat',
  progress: '/agent/progress',
  notice: '/agent/notice',
} as const

/** What a machine downloads before it can say who it is; nothing in it is secret. */
export const downloadPaths = {
  index: '/downloads/agent/index.json',
  file: '/downloads/agent/:version/:file',
} as const

/** The upgrade by which a gateway calls an agent whose address its cloud told; the same protocol, the other way round. */
export const directPath = '/node/direct'

/** The upgrade by which an agent lends a gateway a reversed connection. */
export const reverse = {
  path: '/node/connect',
  protocol: 'PTTH/1.0',
  incarnationHeader: 'x-flightdeck-incarnation',
  /** On a request of the gateway: dial this many more sockets, please. */
  dialHeader: 'x-flightdeck-dial',
  /** Of the agent itself, over a reversed connection: heartbeat at once. */
  nudgePath: '/flightdeck/nudge',
  /** Of the agent itself: that it is there, whatever its engine does. One of before answers 404, which says as much. */
  alivePath: '/flightdeck/alive',
} as const
