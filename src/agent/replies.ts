import type { AgentReply, JoinReply } from '../wire/agent.ts'

type Fields = Readonly<Record<string, unknown>>

// The schema library stays out of the bundle, so the few shapes that the agent relies on are checked by hand.
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null
const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0
const isTexts = (value: unknown): boolean => isFields(value) && Object.values(value).every(isText)

const areGateways = (value: unknown): boolean =>
  Array.isArray(value) && value.every((entry) => isFields(entry) && isText(entry['id']) && isText(entry['url']))

/** The reply to heartbeat and progress, or null for anything else that a proxy or an old server may have sent. */
export function readAgentReply(body: unknown): AgentReply | null {
  if (!isFields(body)) return null
  const { order, drainDeadlineMs, gateways, heartbeatMs, leaseMs } = body
  const good =
    (order === 'run' || order === 'drain' || order === 'end') &&
    (drainDeadlineMs === null || isCount(drainDeadlineMs)) &&
    areGateways(gateways) &&
    isCount(heartbeatMs) &&
    isCount(leaseMs)
  return good ? (body as unknown as AgentReply) : null
}

export function readJoinReply(body: unknown): JoinReply | null {
  if (!isFields(body)) return null
  const { nodeId, credential, engine, install, secrets, gateways, direct, heartbeatMs, leaseMs, noticeService } = body
  const good =
    isText(nodeId) &&
    isText(credential) &&
    isEngine(engine) &&
    (install === undefined || install === null || isInstallation(install)) &&
    isTexts(secrets) &&
    areGateways(gateways) &&
    (direct === undefined || direct === null || isDoor(direct)) &&
    isCount(heartbeatMs) &&
    isCount(leaseMs) &&
    (noticeService === undefined || noticeService === null || isText(noticeService))
  return good ? (body as unknown as JoinReply) : null
}

function isDoor(value: unknown): boolean {
  if (!isFields(value)) return false
  const { port, cert, key, tokenHash } = value
  return isCount(port) && isText(cert) && isText(key) && isText(tokenHash)
}

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

function isInstallation(value: unknown): boolean {
  if (!isFields(value)) return false
  const { folder, stages } = value
  return (folder === null || isText(folder)) && Array.isArray(stages) && stages.every(isStage)
}

function isStage(value: unknown): boolean {
  if (!isFields(value)) return false
  const { name, title, keeps, exists, ways, files, env, measures, secrets, needsMib, limitS, tries } = value
  return (
    isText(name) &&
    isText(title) &&
    (keeps === 'env' || keeps === 'models' || keeps === null) &&
    (exists === null || isText(exists)) &&
    Array.isArray(ways) &&
    ways.every(isWay) &&
    isTexts(files) &&
    isTexts(env) &&
    areTexts(measures) &&
    areTexts(secrets) &&
    [needsMib, limitS, tries].every(isCount)
  )
}

const isWay = (value: unknown): boolean =>
  isFields(value) && isText(value['program']) && Array.isArray(value['commands']) && value['commands'].every(areTexts)

function isEngine(value: unknown): boolean {
  if (!isFields(value)) return false
  const { argv, env, servedName, healthPath, maxRestarts, stopGraceMs } = value
  const words = Array.isArray(argv) && argv.length > 0 && argv.every(isText)
  return (
    words && isTexts(env) && isText(servedName) && isText(healthPath) && isCount(maxRestarts) && isCount(stopGraceMs)
  )
}

/** Why a call was refused, in the control plane's own words and with what to do; a proxy's page has none. */
export function causeOf(body: unknown): string {
  const error = isFields(body) && isFields(body['error']) ? body['error'] : {}
  const told = [error['cause'], error['remedy']].filter(isText)
  return told.length > 0 ? told.join(' ').slice(0, 600) : 'no reason was given'
}
