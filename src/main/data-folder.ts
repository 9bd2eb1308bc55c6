import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { randomName } from '../lib/chance.ts'
import { secretFile } from '../lib/secret-file.ts'
import { inDataFolder } from '../store/embedded-error.ts'
import { type Ownership, takeOwnership } from '../store/embedded-owner.ts'
import { writeWhole } from './whole-file.ts'

/**
 * Makes the folder and takes it: its ports, tokens and gateway belong to one living control plane, wherever that one
 * has its database. @throws EmbeddedError `owned`, `data_folder`.
 */
export function takeDataFolder(dataDir: string): Ownership {
  return inDataFolder(() => {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    return takeOwnership(join(dataDir, 'owner'))
  })
}

/** The same name after a restart: what this server had claimed in its earlier life is free at once. */
export const serverName = (dataDir: string): string =>
  secretFile(join(dataDir, 'server-name'), () => `${hostname()}-${randomName(6)}`)

export interface Ports {
  readonly control: number
  readonly gateway: number
}

/** Agents and gateways know our ports from their birth, so a port that was chosen once is kept over restarts. */
export function keptPorts(dataDir: string): Partial<Ports> {
  const file = join(dataDir, 'ports.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<Ports>) : {}
}

export const keepPorts = (dataDir: string, ports: Ports): void =>
  writeWhole(join(dataDir, 'ports.json'), JSON.stringify(ports), 0o600)

const cliFile = (dataDir: string): string => join(dataDir, 'cli.json')

/** How the command line on this machine finds its way in without being told, for as long as we run. */
export const keepForCli = (dataDir: string, way: { url: string; install: string; token: string | null }): void =>
  writeWhole(cliFile(dataDir), JSON.stringify(way), 0o600)

/** Nobody listens there any more, and whoever comes next must not be sent our token. */
export const forgetForCli = (dataDir: string): void => rmSync(cliFile(dataDir), { force: true })
