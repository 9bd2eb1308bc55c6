import { type Announcement, earlier, type NoticeService, noticeKinds } from '../../core/notice.ts'
import { type Clock, pause } from '../../lib/clock.ts'
import { awsMetadataUrl, awsQuestions } from './aws.ts'
import { azureMetadataUrl, azureQuestions } from './azure.ts'
import { gcpMetadataUrl, gcpQuestions } from './gcp.ts'
import { type Announced, type Asking, Metadata, type Question } from './metadata.ts'

export interface WatchOptions {
  readonly service: NoticeService
  /** Where the service is and how often it is asked; only tests have others than the cloud's own. */
  readonly url: string | null
  readonly waitMs: number | null
  readonly clock: Clock
  readonly stop: AbortSignal
  /** Something is announced or withdrawn, or the service has become silent or answers again. */
  readonly onChange: () => void
  readonly say: (text: string) => void
}

// Of a service that answers nothing: well within the 5 s in which a notice must be looked for.
export const afterErrorMs = 2_000
// One silent answer is noise; from the third on, nobody would know of a notice.
const silentAfter = 3

/** Asks the cloud's own service on this machine, as long as the agent lives, whether the machine is about to be taken. */
export class NoticeWatch {
  readonly #options: WatchOptions
  /** With the earliest time that was named: a service that slides it with every answer moves no deadline. */
  readonly #standing = new Map<Question, Announced>()
  readonly #failures = new Map<Question, number>()
  readonly #questions: readonly Question[]
  #answers: boolean | null = null

  constructor(options: WatchOptions) {
    const { service, url, clock, stop } = options
    this.#options = options
    this.#questions = questionsOf(service, (usual) => new Metadata(url ?? usual, stop), clock)
  }

  start(): void {
    for (const question of this.#questions) void this.#askOn(question)
  }

  /** Whether the service answers; null until each of its questions was answered once, or has failed for good. */
  get answers(): boolean | null {
    return this.#answers
  }

  get notice(): Announcement | null {
    const { service, clock } = this.#options
    const found = this.#mostUrgent()
    if (!found) return null
    const leftMs = found.at === null ? null : Math.max(0, Math.round(found.at - clock.now()))
    return { source: service, kind: found.kind, action: found.action.slice(0, 64), leftMs }
  }

  /** Tells the cloud that nothing keeps it waiting any more. */
  async acknowledge(): Promise<void> {
    const found = this.#mostUrgent()
    if (!found?.acknowledge) return
    try {
      await found.acknowledge()
      this.#options.say(`The cloud was told that ${found.action} may go ahead.`)
    } catch (error) {
      // It goes ahead by itself when the announced time has come.
      this.#options.say(`The cloud could not be told that ${found.action} may go ahead: ${messageOf(error)}`)
    }
  }

  #mostUrgent(): Announced | undefined {
    const weight = ({ kind }: Announced) => noticeKinds.indexOf(kind)
    return [...this.#standing.values()].sort((a, b) => weight(a) - weight(b))[0]
  }

  async #askOn(question: Question): Promise<void> {
    const { stop, waitMs, clock } = this.#options
    while (!stop.aborted) {
      let pauseMs = question.waitMs
      const askedAt = clock.monotonicMs()
      try {
        this.#answered(question, await question.ask())
      } catch (error) {
        if (!stop.aborted) this.#failed(question, error)
        pauseMs = afterErrorMs
      }
      await pause(waitMs ?? Math.max(0, askedAt + pauseMs - clock.monotonicMs()), stop)
    }
  }

  #answered(question: Question, announced: Announced | null): void {
    const before = this.#standing.get(question)
    const same = before?.kind === announced?.kind && before?.action === announced?.action
    const at = same ? earlier(before?.at ?? null, announced?.at ?? null) : (announced?.at ?? null)
    if (announced) this.#standing.set(question, { ...announced, at })
    else this.#standing.delete(question)
    if (!same) this.#options.say(announced ? `The cloud announces: ${announced.action}.` : 'The notice was withdrawn.')
    this.#count(question, 0, !same || at !== (before?.at ?? null))
  }

  #failed(question: Question, error: unknown): void {
    const count = (this.#failures.get(question) ?? 0) + 1
    if (count === silentAfter) this.#options.say(`The cloud's metadata service does not answer: ${messageOf(error)}`)
    this.#count(question, count, false)
  }

  #count(question: Question, failures: number, changed: boolean): void {
    this.#failures.set(question, failures)
    const before = this.#answers
    const counts = this.#questions.map((each) => this.#failures.get(each) ?? null)
    const isClear = counts.every((count) => count === 0 || (count !== null && count >= silentAfter))
    if (counts.some((count) => count !== null && count >= silentAfter)) this.#answers = false
    else if (isClear) this.#answers = true
    if (changed || this.#answers !== before) this.#options.onChange()
  }
}

/** `at`: the service, by the address that its cloud has it at. */
export function questionsOf(service: NoticeService, at: (url: string) => Asking, clock: Clock): readonly Question[] {
  if (service === 'aws') return awsQuestions(at(awsMetadataUrl), clock.monotonicMs)
  if (service === 'gcp') return gcpQuestions(at(gcpMetadataUrl), clock.now)
  return azureQuestions(at(azureMetadataUrl), clock.now)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
