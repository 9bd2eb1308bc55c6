import type { CloudTraits } from '../../core/decide-node.ts'
import { type FailureRecord, failureRecord } from '../../core/failure.ts'
import type { Offer } from '../../core/offer.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  type AskAnswer,
  type Cloud,
  CloudRefuses,
  type HearStep,
  type ListedMachine,
  type LookHints,
  type MachineAsk,
} from '../cloud.ts'
import { type SkyApi, SkyError } from './api.ts'
import type { SkyRequest } from './api-answers.ts'
import { nameTaken } from './failures.ts'
import { downVerb, launchVerb, type SkyLaunches } from './launches.ts'
import { type FreeGpus, freeGpusIn, offersFrom } from './offers.ts'
import { outcomeOf } from './outcome.ts'
import { type TaskParts, taskFile } from './task.ts'

export interface SkyCloudOptions {
  readonly api: SkyApi
  readonly launches: SkyLaunches
  readonly clock: Clock
  /** As SkyPilot calls it, and so the name of this cloud: `aws`, `gcp`, `slurm`, ... */
  readonly cloud: string
  readonly task: Omit<TaskParts, 'name' | 'offer' | 'joinToken'>
  /** Empty: all that SkyPilot knows. */
  readonly regions: readonly string[]
  readonly gpus: readonly string[]
  readonly spot: boolean
  readonly traits: CloudTraits
  /** Of kinds of machines that take longer to come than the others of the cloud. */
  readonly requestLimitMsFor?: (offer: Offer) => number | null
}

// The price list is a file at the server that changes every few hours; reading it takes seconds.
const pricesMs = 600_000
// Two ends within this time would only queue behind each other.
const downAgainMs = 10_000
const rememberDownsMs = 3_600_000

/** One cloud of a SkyPilot API server. Several of them share the server's client and its looks. */
export class SkyCloud implements Cloud {
  readonly name: string
  readonly traits: CloudTraits
  readonly asksOnce = true
  readonly #options: SkyCloudOptions
  readonly #busy = new Map<string, Promise<unknown>>()
  /** Ends that this process asked for; the server's clock may differ from ours, so times are our own. */
  readonly #downs = new Map<string, { readonly requestId: string; readonly at: number }>()
  /** By the part of the cloud that they are of. */
  readonly #prices = new Map<Part, { readonly at: number; readonly rows: unknown }>()

  constructor(options: SkyCloudOptions) {
    this.name = options.cloud
    this.traits = options.traits
    this.#options = options
  }

  traitsFor(offer: Offer): CloudTraits {
    const requestLimitMs = this.#options.requestLimitMsFor?.(offer) ?? this.traits.requestLimitMs
    return { ...this.traits, requestLimitMs }
  }

  async offers(): Promise<Offer[]> {
    const { cloud, regions, gpus, spot, task } = this.#options
    const { cpus, memoryGib } = task
    return refusing(async () => {
      const parts = await this.#enabledParts()
      const free = await this.#freeGpus()
      const offered: Offer[] = []
      for (const slurmCluster of parts) {
        const terms = { cloud, slurmCluster, regions, gpus, spot, cpus, memoryGib, free }
        offered.push(...offersFrom(await this.#pricesOf(slurmCluster), terms))
      }
      return offered
    })
  }

  /** Where a cloud says how many GPUs are free, prices alone would offer what somebody else uses. */
  async #freeGpus(): Promise<FreeGpus> {
    const { api, cloud } = this.#options
    if (cloud === 'slurm') return freeGpusIn(await api.slurmFreeGpus())
    return cloud === 'kubernetes' ? freeGpusIn(await api.kubernetesFreeGpus().catch(noneAtAll)) : new Map()
  }

  /** Also of this install's machines in other clouds of the server: a row may not say yet, or wrongly, where it is. */
  async listMachines(hints?: LookHints): Promise<ListedMachine[]> {
    return refusing(() => this.#options.launches.look(hints))
  }

  async answers(): Promise<void> {
    await refusing(() => this.#options.api.openRequests())
  }

  onStep(hear: HearStep): void {
    this.#options.launches.onStep(hear)
  }

  /** Asks for the machine unless its name is known already, in whatever state: a second launch would be a second job. */
  async ensureMachine(ask: MachineAsk): Promise<AskAnswer> {
    this.#refuseForeign(ask.name)
    return this.#alone(ask.name, async () => {
      const known = await this.#knownAnswer(ask)
      const answer = known ?? (ask.askedAt === undefined ? await this.#launch(ask) : this.#lost(ask.name, ask.askedAt))
      // Not before: a look in between would take a request that is not there yet for one that was forgotten.
      if (answer.accepted) this.#options.launches.follow(ask.name)
      return answer
    })
  }

  /** Ends the launch if it is open, and then the cluster: each alone leaves something behind. */
  async ensureGone(name: string): Promise<void> {
    this.#refuseForeign(name)
    return this.#alone(name, async () => {
      const { api, launches } = this.#options
      const requests = await api.requestsOf(name)
      const open = requests.filter(({ verb, state, foreign }) => verb === launchVerb && state === 'open' && !foreign)
      // Before there is a row, the end of the cluster is refused while the launch goes on and makes a machine.
      await api.cancel(open.map(({ id }) => id))
      if (requests.some(({ verb, state }) => verb === downVerb && state === 'open') || launches.isForeign(name)) return
      if (open.length === 0 && !this.#needsDown(name, requests)) return
      // The server would end it for us, whoever's it is.
      if ((await api.clusters([name])).some(({ foreign }) => foreign)) return
      await this.#down(name)
    })
  }

  /** An end that is over is enough until a later look shows the machine again; one that we did not post is not. */
  #needsDown(name: string, requests: readonly SkyRequest[]): boolean {
    const { clock, launches } = this.#options
    const posted = this.#downs.get(name)
    if (!posted || requests.find(({ verb }) => verb === downVerb)?.id !== posted.requestId) return true
    if (clock.now() - posted.at < downAgainMs) return false
    return launches.last?.names.has(name) === true && launches.last.startedAt > posted.at
  }

  async #down(name: string): Promise<void> {
    const at = this.#options.clock.now()
    for (const [other, posted] of this.#downs) if (at - posted.at > rememberDownsMs) this.#downs.delete(other)
    this.#downs.set(name, { requestId: await this.#options.api.down(name), at })
  }

  async #knownAnswer({ name, askedAt }: MachineAsk): Promise<AskAnswer | null> {
    const { api } = this.#options
    const isNews = askedAt === undefined && this.#options.launches.isNews(name)
    const launches = (await api.requestsOf(name)).filter(({ verb }) => verb === launchVerb)
    const launch = launches.find(({ foreign }) => !foreign)
    if (launch?.state === 'open') return { accepted: true }
    if (launch) {
      const outcome = await outcomeOf(api, launch)
      return outcome === 'succeeded' ? { accepted: true } : { accepted: false, refusal: outcome }
    }
    // A server that was restarted knows no requests, but it knows its clusters. To ask for them takes it a while.
    const rows = isNews && launches.length === 0 ? [] : await api.clusters([name])
    if (launches.some(({ state }) => state === 'open') || rows.some(({ foreign }) => foreign))
      return { accepted: false, refusal: nameTaken(name) }
    return rows.length > 0 ? { accepted: true } : null
  }

  /**
   * It was posted, or was about to be, and the server knows nothing of it: it may have taken it, been killed, and have
   * begun with a machine that it lists late. Another name is safe, and this one is looked for until it is gone.
   */
  #lost(name: string, askedAt: number): AskAnswer {
    const cause = 'It is not known whether the SkyPilot API server took the launch, and it knows nothing of it now.'
    if (this.#options.clock.now() < askedAt + this.traits.askLimitMs) throw new SkyError('unreachable', cause)
    return { accepted: false, refusal: failureRecord('cloud_unavailable', cause, { evidence: name }) }
  }

  async #launch({ name, offer, joinToken }: MachineAsk): Promise<AskAnswer> {
    const task = taskFile({ ...this.#options.task, name, offer, joinToken })
    try {
      const { api, launches } = this.#options
      launches.follow(name, await api.launch({ clusterName: name, task }))
      return { accepted: true }
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal) return { accepted: false, refusal }
      throw error
    }
  }

  /** Two askers at once under one name would both find nothing and both ask. */
  async #alone<T>(name: string, act: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(name) ?? Promise.resolve()
    const mine = before.then(act, act)
    this.#busy.set(name, mine)
    try {
      return await mine
    } finally {
      if (this.#busy.get(name) === mine) this.#busy.delete(name)
    }
  }

  #refuseForeign(name: string): void {
    if (!this.#options.launches.isOurs(name)) throw new Error(`${name} is not a machine of this install`)
  }

  /** Asked every time: what is offered is as old as the server's word that the cloud can be used. */
  async #enabledParts(): Promise<readonly Part[]> {
    const { api, cloud } = this.#options
    const infra = await api.enabledInfra()
    // A server that was just started has not looked yet which clouds it can use.
    if (infra.length === 0)
      throw new Error('The SkyPilot API server names no cloud that it can use; `sky check` there says why.')
    const enabled = infra.filter((name) => name === cloud || name.startsWith(`${cloud}/`))
    if (enabled.length === 0) throw notEnabled(cloud, infra)
    return cloud === 'slurm' ? enabled.map((name) => name.slice('slurm/'.length)) : [null]
  }

  async #pricesOf(part: Part): Promise<unknown> {
    const { api, clock, cloud } = this.#options
    const now = clock.now()
    const held = this.#prices.get(part)
    if (held && now - held.at < pricesMs) return held.rows
    const rows = await api.accelerators(cloud, part)
    this.#prices.set(part, { at: now, rows })
    return rows
  }
}

/** A cluster of Slurm; null: the cloud as a whole. */
type Part = string | null

/** Clusters without any GPU are an error to the server. */
function noneAtAll(error: unknown): readonly unknown[] {
  if (error instanceof SkyError && /^No GPUs found/.test(error.failure?.message ?? '')) return []
  throw error
}

function notEnabled(cloud: string, infra: readonly string[]): CloudRefuses {
  const cause = `The SkyPilot API server cannot use ${cloud}: it is not enabled there, or its credentials do not work. It can use ${infra.join(', ')}.`
  const remedy = `Run \`sky check ${cloud}\` where the API server runs: it says what is missing. Offers are read again within a minute.`
  return new CloudRefuses(failureRecord('cloud_credentials', cause, { remedy }), null)
}

/** An answer that no asking again would change is told apart from no answer. */
async function refusing<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const refusal = error instanceof SkyError ? refusalOfUs(error) : null
    throw refusal ? new CloudRefuses(refusal, error) : error
  }
}

/** Errors that are the server's answer to a launch; all others leave open whether it was taken. */
function refusalOf(error: unknown): FailureRecord | null {
  if (!(error instanceof SkyError)) return null
  const { kind, message } = error
  if (kind === 'busy') return failureRecord('cloud_unavailable', message)
  return kind === 'rejected' ? failureRecord('task_refused', message, { fault: 'us' }) : refusalOfUs(error)
}

/** What the server would answer to anything that we ask. */
function refusalOfUs({ kind, message }: SkyError): FailureRecord | null {
  if (kind === 'version') return failureRecord('cloud_version', message)
  if (kind !== 'unauthorised') return null
  const remedy =
    'Set `FLIGHTDECK_SKYPILOT_TOKEN` to a token that the API server knows, and start the control plane again.'
  return failureRecord('cloud_credentials', message, { remedy })
}
