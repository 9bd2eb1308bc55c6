import { execFile } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'

export interface Dialled {
  /** Where connections were begun and messages sent to, loopback and name servers left out. */
  readonly addresses: readonly string[]
  /** Host names that a name server was asked for. */
  readonly names: readonly string[]
}

// A destination in any of the calls; one call may hold several.
const destination =
  /sa_family=AF_INET6?, sin6?_port=htons\((\d+)\), (?:sin6_flowinfo=\w+\(\d+\), )?(?:sin_addr=)?inet_(?:addr|pton)\((?:AF_INET6, )?"((?:\\x[0-9a-f]{2})+)"/g
// What was sent, whichever call did it; those that were cut in two have it in either part.
const content = /(?:iov_base=|sendto\(\d+, )"((?:\\x[0-9a-f]{2})+)"/g

/** What strace wrote down of connect, sendto, sendmsg and sendmmsg (with -xx: every text in hexadecimal digits). */
export function readTraces(traces: readonly string[]): Dialled {
  const addresses = new Set<string>()
  const names = new Set<string>()
  for (const line of traces.flatMap((trace) => trace.split('\n'))) {
    for (const [, port, address = ''] of line.matchAll(destination))
      if (Number(port) !== 53 && !isHere(textOf(address))) addresses.add(textOf(address))
    for (const [, sent = ''] of line.matchAll(content)) {
      const message = bytesOf(sent)
      // Over TCP its length stands before it.
      const name = nameAsked(message) ?? nameAsked(message.subarray(2))
      if (name?.includes('.')) names.add(name)
    }
  }
  return { addresses: [...addresses], names: [...names] }
}

const bytesOf = (escaped: string): Buffer => Buffer.from(escaped.replaceAll('\\x', ''), 'hex')
const textOf = (escaped: string): string => bytesOf(escaped).toString('latin1')
// A socket "to" the wildcard address is how a program asks for the addresses of this host.
const isHere = (address: string): boolean => /^(127\.|0\.0\.0\.0$|::1?$|::ffff:127\.)/.test(address)

const headerBytes = 12

/** The name that a DNS message asks for; null for whatever else is sent: a header that says "one question", then labels. */
function nameAsked(message: Buffer): string | null {
  const isQuestion = message.length > headerBytes && ((message[2] ?? 0) & 0xf8) === 0
  if (!isQuestion || message.readUInt16BE(4) !== 1 || message.readUInt32BE(6) !== 0) return null
  const labels: string[] = []
  let at = headerBytes
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    const label = message.toString('latin1', at + 1, at + 1 + length)
    if (length > 63 || label.length < length || !/^[\w-]+$/.test(label)) return null
    labels.push(label)
    at += 1 + length
  }
  return labels.join('.').toLowerCase()
}

const run = promisify(execFile)

/**
 * The hosts that pip is configured to install from: the index, where its files lie, and a proxy on the way. uv asks the
 * same unless it is told otherwise by a variable.
 */
export async function registryHosts(python: string): Promise<string[]> {
  const asked = [
    '-c',
    'from pip._internal.models.index import PyPI as i; print(i.url, "https://" + i.file_storage_domain)',
  ]
  const { stdout: builtIn } = await run(python, asked)
  const { stdout: configured } = await run(python, ['-m', 'pip', 'config', 'list'])
  const { PIP_INDEX_URL, UV_INDEX_URL, UV_DEFAULT_INDEX, HTTPS_PROXY, https_proxy } = process.env
  const given = [PIP_INDEX_URL, UV_INDEX_URL, UV_DEFAULT_INDEX, HTTPS_PROXY, https_proxy].join(' ')
  const urls = `${builtIn} ${configured} ${given}`.match(/https?:\/\/[^\s'",]+/g) ?? []
  return [...new Set(urls.map((url) => new URL(url).hostname))]
}

/** The package registries by name, and by every address that they had while a test looked. */
export class Registries {
  readonly #hosts: readonly string[]
  readonly #addresses = new Set<string>()

  constructor(hosts: readonly string[]) {
    this.#hosts = hosts
  }

  /** An address may change its host by the minute, so they are learnt while they are dialled. */
  async learnAddresses(): Promise<void> {
    const found = await Promise.all(this.#hosts.map((host) => lookup(host, { all: true }).catch(() => [])))
    for (const { address } of found.flat()) this.#addresses.add(address)
  }

  /** Who else was dialled or looked up, and whether a registry was: only then the trace saw what jobs do, too. */
  judge({ names, addresses }: Dialled): { readonly asked: boolean; readonly others: readonly string[] } {
    const otherNames = names.filter((name) => !this.#hosts.includes(name) && !isThisHost(name))
    const otherAddresses = addresses.filter((address) => !this.#addresses.has(address))
    return { asked: names.some((name) => this.#hosts.includes(name)), others: [...otherNames, ...otherAddresses] }
  }
}

const isThisHost = (name: string): boolean => name === 'localhost' || name.split('.')[0] === hostname().split('.')[0]
