import { execFile } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'

export interface Dialled {
  /** Address and port of each connection that was begun, loopback and name servers left out. */
  readonly addresses: readonly string[]
  /** Host names that a name server was asked for. */
  readonly names: readonly string[]
}

/** What strace wrote down (with -xx: every text in hexadecimal digits). */
export function readTraces(traces: readonly string[]): Dialled {
  const addresses = new Set<string>()
  const names = new Set<string>()
  for (const line of traces.flatMap((trace) => trace.split('\n'))) {
    const port = Number(/sin6?_port=htons\((\d+)\)/.exec(line)?.[1])
    const address = /inet_(?:addr|pton)\((?:AF_INET6?, )?"((?:\\x[0-9a-f]{2})+)"/.exec(line)?.[1]
    if (address && port !== 53 && !isHere(textOf(address))) addresses.add(textOf(address))
    for (const [, asked = ''] of line.matchAll(/iov_base="((?:\\x[0-9a-f]{2})+)"/g)) names.add(nameAsked(asked))
  }
  return { addresses: [...addresses], names: [...names].filter((name) => name.includes('.')) }
}

const bytesOf = (escaped: string): Buffer => Buffer.from(escaped.replaceAll('\\x', ''), 'hex')
const textOf = (escaped: string): string => bytesOf(escaped).toString('latin1')
// A socket "to" the wildcard address is how a program asks for the addresses of this host.
const isHere = (address: string): boolean => /^(127\.|0\.0\.0\.0$|::1?$|::ffff:127\.)/.test(address)

/** The question of a DNS message: labels with their lengths before them, after a header of twelve bytes. */
function nameAsked(escaped: string): string {
  const message = bytesOf(escaped)
  const labels: string[] = []
  for (let at = 12; at < message.length && message[at] !== 0; at += 1 + (message[at] ?? 0))
    labels.push(message.toString('latin1', at + 1, at + 1 + (message[at] ?? 0)))
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

export async function addressesOf(hosts: readonly string[]): Promise<string[]> {
  const found = await Promise.all(hosts.map((host) => lookup(host, { all: true }).catch(() => [])))
  return found.flat().map(({ address }) => address)
}

export const isThisHost = (name: string): boolean =>
  name === 'localhost' || name.split('.')[0] === hostname().split('.')[0]
