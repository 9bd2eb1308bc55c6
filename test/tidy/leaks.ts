import { homedir, hostname } from 'node:os'
import { type Finding, inCode, isTest, type Rule, type Source, textOf, type Visit } from './source.ts'
import { root } from './tree.ts'

/** What must not leave this machine, as it is called here. Tests give their own. */
export interface Machine {
  root: string
  home: string
  host: string
  registry: string
}

export const thisMachine: Machine = {
  root,
  home: homedir(),
  host: hostname(),
  registry: process.env.npm_config_registry ?? '',
}

/** Top folders that mean the same on every machine. */
const everywhere = new Set(['tmp', 'var', 'usr', 'opt', 'etc', 'root', 'home', 'srv', 'mnt', 'run', 'app', 'private'])

/** What gives this machine away, each with the words to say so. */
function traces({ root: clone, home, host, registry }: Machine): [RegExp, string][] {
  const found: [RegExp, string][] = [
    [
      /(?<![\w.$}])\/(home|Users)\/(?!(you|user|me|ubuntu|sky|runner)\b)[a-z][\w.-]*\//,
      'a home folder of some machine',
    ],
    [/\bregistry\s*=\s*["']?https?:/, 'a registry of some machine'],
  ]
  const top = clone.split('/')[1] ?? ''
  const telling = top !== '' && !everywhere.has(top)
  if (telling) found.push([new RegExp(`(?<![\\w.$}/-])/${quoted(top)}/[\\w.]`), 'a path of this machine'])
  else if (clone.split('/').length > 2) found.push([new RegExp(`${quoted(clone)}(?![\\w-])`), 'the path of this clone'])
  if (home.split('/').length > 2)
    found.push([new RegExp(`${quoted(home)}(?![\\w-])`), 'the home folder of this machine'])
  // A name like "build" says nothing about a machine and is an ordinary word.
  if (host.length >= 8 && /[\d.-]/.test(host)) found.push([new RegExp(quoted(host)), 'the name of this machine'])
  const mirror = URL.canParse(registry) ? new URL(registry).hostname : ''
  if (mirror && mirror !== 'registry.npmjs.org')
    found.push([new RegExp(quoted(mirror)), 'the package registry of this machine'])
  return found
}

const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

function checkTraces(files: Source[], machine: Machine): Finding[] {
  const patterns = traces(machine)
  return files.flatMap(({ path, text }) => {
    const suspects = patterns.filter(([pattern]) => pattern.test(text))
    if (suspects.length === 0) return []
    return text
      .split('\n')
      .flatMap((line, i) =>
        suspects.filter(([pattern]) => pattern.test(line)).map(([, message]) => ({ path, line: i + 1, message })),
      )
  })
}

function checkLock(files: Source[]): Finding[] {
  const lock = files.find(({ path }) => path === 'package-lock.json')
  const line = lock?.text.split('\n').findIndex((text) => text.includes('"resolved"')) ?? -1
  return line < 0
    ? []
    : [
        {
          path: 'package-lock.json',
          line: line + 1,
          message: 'an address of a registry; install with the .npmrc of this repository',
        },
      ]
}

/** Hosts that a program of ours may name. A name is not a call: XML namespaces and schemas are names. */
const knownHosts = [
  /^localhost$/,
  /^127\.\d+\.\d+\.\d+$/,
  /^0\.0\.0\.0$/,
  /^\[::1?\]$/,
  /(^|\.)example(\.(com|org|net))?$/,
  /\.(test|invalid|localhost|internal)$/,
  // A cloud's own word to its machine, asked from there only.
  /^169\.254\.169\.254$/,
  /^\[fd00:ec2::254\]$/,
  /^www\.w3\.org$/,
  /^json-schema\.org$/,
  // Nothing but the path counts: the base of a relative address.
  /^(host|base|x|unix|node|engine|agent|control|gateway|flightdeck)$/,
]

/** A string that begins with an address is called; one that holds an address is prose. */
const address = /^\s*(?:https?|wss?|postgres(?:ql)?):\/\/(?:[^\s/@?#]*@)?(\[[^\]\s]+\]|[^\s/:?#]+)/

function hostObjection({ node }: Visit): string | undefined {
  const host = address.exec(textOf(node) ?? '')?.[1] ?? ''
  // What is put in at run time stands as a question mark, and so is no name.
  const isName = host.startsWith('[') || /^[\w.-]+$/.test(host)
  if (!isName || knownHosts.some((known) => known.test(host.toLowerCase()))) return undefined
  return `the host ${host}: nothing outside is called by name`
}

const shipped = (file: Source): boolean => /^(src|web|bench|bin)\//.test(file.path) && !isTest(file)

export function leakRules(machine: Machine) {
  return {
    traces: {
      title: 'no file tells about the machine it was written on',
      check: (files) => checkTraces(files, machine),
    },
    lock: { title: 'the lock file names no registry', check: checkLock },
    hosts: {
      title: 'the program names no host on the network',
      check: (files) => inCode(files, shipped, hostObjection),
    },
  } satisfies Record<string, Rule>
}
