// The agent: one process on each GPU machine that supervises the engine and lends its connections to the gateways.
// Deliberately absent: npm packages, a port unless the operator wants one, and any decision about the fate of the node.

import { agentProtocol } from '../core/agent-protocol.ts'
import { version } from '../core/version.ts'
import { randomName } from '../lib/chance.ts'
import { systemClock } from '../lib/clock.ts'
import type { Hardware, JoinReply } from '../wire/agent.ts'
import { ControlClient } from './control-client.ts'
import { readHardware } from './hardware.ts'
import { Identity } from './identity.ts'
import { join } from './join.ts'
import { type Joined, NodeDisk } from './node-disk.ts'
import { makeOwnLog, type OwnLog } from './own-log.ts'
import { forgetToken, readJoinToken, type Settings } from './settings.ts'
import { endedForGood, Tenure } from './tenure.ts'

/** Runs until it is told to stop (0: the engine stays) or the node is at its end (86: nothing of the engine is left). */
export async function runAgent(settings: Settings, stop: AbortSignal): Promise<number> {
  const disk = new NodeDisk(settings.dir)
  const control = new ControlClient(settings.controlUrl, settings.fingerprint)
  const identity = new Identity(disk, randomName(20))
  const early: string[] = []
  let tell: (text: string) => void = (text) => early.push(text)
  const log = makeOwnLog((text) => tell(text))
  log.say(`Agent ${version} of ${settings.machine}, incarnation ${identity.incarnation}, process ${process.pid}.`)
  const hardware = await readHardware(process.env)
  const joined = disk.joined() ?? (await joinFirst({ settings, disk, control, log, identity, hardware, stop }))
  if (typeof joined === 'number') return joined
  const tenure = new Tenure({ settings, disk, control, log, joined, identity, gpus: hardware.gpus, clock: systemClock })
  tell = (text) => tenure.tell(text)
  for (const text of early) tell(text)
  return tenure.run(stop)
}

interface Joining {
  readonly settings: Settings
  readonly disk: NodeDisk
  readonly control: ControlClient
  readonly log: OwnLog
  readonly identity: Identity
  readonly hardware: Hardware
  readonly stop: AbortSignal
}

async function joinFirst(joining: Joining): Promise<Joined | number> {
  const { settings, disk, control, log, identity, hardware, stop } = joining
  const token = readJoinToken(settings)
  const deps = { post: control.post.bind(control), log, stop }
  const instance = disk.instance(() => randomName(20))
  const { incarnation } = identity
  const request = { protocol: agentProtocol, instance, incarnation, agentVersion: version, hardware }
  const outcome = await join(deps, token, request)
  if (outcome.kind === 'stopped') return 0
  if (outcome.kind === 'final') {
    log.say(`${outcome.why} This node cannot run and ends.`)
    return endedForGood
  }
  return remember(joining, outcome.reply)
}

/** The credential is on disk before anything else happens: the token that bought it is good for no second one. */
function remember({ settings, disk, log, identity }: Joining, reply: JoinReply): Joined {
  disk.saveJoin(reply)
  identity.accepted()
  forgetToken(settings, log)
  log.say(`Joined as node ${reply.nodeId}.`)
  const { secrets: _, ...joined } = reply
  return joined
}
