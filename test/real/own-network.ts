import { execFileSync } from 'node:child_process'
import { programAt } from '../bare-path.ts'
import { installFromDebian } from './debian-packages.ts'

// Reserved for tests of networks by RFC 2544, so no network of this host has it.
const host = '198.18.77.1'
const guest = '198.18.77.2'
// Locally administered, and nobody's.
const nobody = '02:00:00:00:00:01'

/** A network namespace with one cable to this host, of which either direction can be cut: packets leave, and none arrives. */
export class OwnNetwork {
  readonly host = host
  readonly #name = `fd${process.pid}`

  /** Root only. */
  start(): void {
    if (programAt('ip') === null) installFromDebian('iproute2')
    const [ours, theirs] = [this.#ours, this.#theirs]
    this.#ip(`netns add ${this.#name}`)
    this.#ip(`link add ${ours} type veth peer name ${theirs} netns ${this.#name}`)
    this.#ip(`addr add ${host}/30 dev ${ours}`)
    this.#ip(`link set ${ours} up`)
    this.#within(`addr add ${guest}/30 dev ${theirs}`)
    this.#within(`link set ${theirs} up`)
    this.#within('link set lo up')
  }

  /** Before a command, so that it runs there. */
  get enter(): string[] {
    return ['ip', 'netns', 'exec', this.#name]
  }

  get #ours(): string {
    return `${this.#name}a`
  }

  get #theirs(): string {
    return `${this.#name}b`
  }

  /** What the machine sends, or what is sent to it, goes to a card that is not there. */
  cut(direction: 'sends' | 'is sent'): void {
    if (direction === 'sends') this.#within(`neigh replace ${host} lladdr ${nobody} nud permanent dev ${this.#theirs}`)
    else this.#ip(`neigh replace ${guest} lladdr ${nobody} nud permanent dev ${this.#ours}`)
  }

  heal(): void {
    this.#within(`neigh flush dev ${this.#theirs} nud permanent`)
    this.#ip(`neigh flush dev ${this.#ours} nud permanent`)
  }

  end(): void {
    this.#ip(`link del ${this.#ours}`)
    this.#ip(`netns del ${this.#name}`)
  }

  #ip(words: string): void {
    execFileSync('ip', words.split(' '), { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  #within(words: string): void {
    this.#ip(`-n ${this.#name} ${words}`)
  }
}
