// Every npm script starts here: makes the dependencies match the lock file, builds what is stale, then runs the task.
// Nothing but Node's own modules and Node 20 syntax: this file runs before anything is installed.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const lockFile = at('package-lock.json')
const stampFile = at('node_modules', '.flightdeck-lock')
const packagedNode = at('node_modules', '.bin', 'node')
const oldestNode = [22, 18]
const always = () => true

/** What each npm script does. `build` says whether agent and dashboard must be fresh before it runs. */
const tasks = {
  start: { build: always, run: (args) => runNode(['src/main/cli.ts', 'up', ...args]) },
  // Stays where the user is, so that relative paths in arguments mean what they say.
  cli: {
    build: ([verb]) => verb === 'up',
    run: (args) => runNode([at('src/main/cli.ts'), ...args], { cwd: process.cwd() }),
  },
  demo: { build: always, run: (args) => runNode(['src/main/demo.ts', ...args]) },
  build: { run: (args) => runNode(['src/main/build.ts', ...args]) },
  'build:agent': { run: (args) => runNode(['src/main/build.ts', '--executables', ...args]) },
  docs: { run: (args) => runNode(['src/main/docs.ts', ...args]) },
  check: { run: () => checks().then((failed) => Math.min(failed, 1)) },
  test: { build: always, run: (args) => suite('unit', args, checks) },
  'test:real': { build: always, run: (args) => suite('real', args) },
  // The parts of it that drive the dashboard in a browser, and that run on the Slurm rig.
  'test:e2e': { build: always, run: (args) => suite('real', ['test/real/dashboard', ...args]) },
  'test:skypilot': { build: always, run: (args) => suite('real', ['test/real/skypilot', ...args]) },
  screenshots: { build: always, run: (args) => suite('real', ['test/real/pictures', ...args]) },
  'bench:gateway': { build: always, run: (args) => runNode(['bench/gateway.ts', ...args]) },
  'bench:failover': { build: always, run: (args) => runNode(['bench/failover.ts', ...args]) },
  'bench:fleet': { build: always, run: (args) => runNode(['bench/fleet.ts', ...args]) },
  'bench:launch': { build: always, run: (args) => runNode(['bench/launch.ts', ...args]) },
  'bench:live': { build: always, run: (args) => runNode(['bench/live.ts', ...args]) },
}

async function main([name, ...args]) {
  const task = Object.hasOwn(tasks, name ?? '') ? tasks[name] : undefined
  if (!task) return refuse(`Unknown task "${name ?? ''}". Known tasks: ${Object.keys(tasks).join(', ')}.`)
  if (!installedMatchesLock()) await withInstallLock(install)
  if (task.build?.(args)) {
    const code = await runNode([at('src/main/build.ts'), '--quiet'])
    if (code !== 0) return code
  }
  return task.run(args)
}

function refuse(message) {
  console.error(message)
  return 1
}

// ---- dependencies

function lockHash() {
  return createHash('sha256').update(readFileSync(lockFile)).digest('hex')
}

function installedMatchesLock() {
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lockHash()) return true
  if (!hiddenLockAgrees()) return false
  writeFileSync(stampFile, lockHash())
  return true
}

/** After a plain `npm install`, npm's own record of what it installed says the same as the lock file. */
function hiddenLockAgrees() {
  const hiddenFile = at('node_modules', '.package-lock.json')
  if (!existsSync(hiddenFile)) return false
  const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages
  const installed = JSON.parse(readFileSync(hiddenFile, 'utf8')).packages
  const differs = ([path, want]) => {
    const have = installed[path]
    // Other platforms' binaries are optional and never installed here.
    return have ? have.version !== want.version || have.integrity !== want.integrity : !want.optional
  }
  return !Object.entries(wanted).some((entry) => entry[0] !== '' && differs(entry))
}

async function install() {
  // Another start may have installed while this one waited.
  if (installedMatchesLock()) return
  const began = performance.now()
  console.error('Installing the dependencies that package-lock.json names (npm ci) ...')
  // Under npm, use that very npm; NODE_ENV=production must not leave out what builds the agent.
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const flags = ['--include=dev', '--include=optional', '--no-fund', '--no-audit', '--loglevel=error']
  const { code, output } = await runQuietly([...npm, 'ci', ...flags])
  if (code !== 0) {
    process.stderr.write(output)
    throw new Error(
      'npm ci failed. Run it by hand for details: the network and the package registry must be reachable.',
    )
  }
  writeFileSync(stampFile, lockHash())
  console.error(`Installed in ${((performance.now() - began) / 1000).toFixed(1)} s.`)
}

/** Holds dist/.install.lock while `work` runs. The file appears complete (link), so its reader never sees half of it. */
async function withInstallLock(work) {
  const held = at('dist', '.install.lock')
  const mine = `${held}.${process.pid}`
  mkdirSync(dirname(held), { recursive: true })
  writeFileSync(mine, String(process.pid))
  try {
    for (let told = false; !tryLink(mine, held); told = true) {
      const owner = readOwner(held)
      if (!told && owner) console.error(`Waiting for another install (process ${owner}) ...`)
      if (owner && !isAlive(owner)) takeAway(held, owner)
      else await new Promise((resolve) => setTimeout(resolve, 200))
    }
    await work()
  } finally {
    if (readOwner(held) === process.pid) rmSync(held, { force: true })
    rmSync(mine, { force: true })
  }
}

function tryLink(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function readOwner(file) {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Removes a dead owner's lock. A lock that was freshly taken in between is put back. */
function takeAway(held, deadOwner) {
  const aside = `${held}.stale.${process.pid}`
  try {
    renameSync(held, aside)
  } catch (error) {
    if (error.code === 'ENOENT') return
    throw error
  }
  if (readOwner(aside) !== deadOwner) tryLink(aside, held)
  rmSync(aside, { force: true })
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

// ---- checks and tests

/** Types and lint. Returns how many of the two failed. */
async function checks() {
  const typesOf = (project) => runNode([at('node_modules/@typescript/native/bin/tsc'), '--project', project])
  const types = (await typesOf('tsconfig.json')) || (await typesOf('web/tsconfig.json'))
  const lint = await runNode([at('node_modules/@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '.'])
  console.log(`types ${types === 0 ? 'ok' : 'FAILED'}, lint ${lint === 0 ? 'ok' : 'FAILED'}`)
  return Number(types !== 0) + Number(lint !== 0)
}

/** Runs one vitest project and closes with the line "N passed, N failed". A run without tests is a failure. */
async function suite(project, args, before = async () => 0) {
  const failedChecks = await before()
  const countsFile = at('dist', `test-counts.${project}.${process.pid}.json`)
  const vitest = [
    at('node_modules/vitest/vitest.mjs'),
    'run',
    '--configLoader',
    'native',
    '--project',
    project,
    ...args,
  ]
  const code = await runNode(vitest, { env: { ...process.env, FLIGHTDECK_COUNTS: countsFile } })
  const counts = existsSync(countsFile)
    ? JSON.parse(readFileSync(countsFile, 'utf8'))
    : { passed: 0, failed: 0, skipped: 0, retried: [] }
  rmSync(countsFile, { force: true })
  const nothingRan = counts.passed + counts.failed === 0
  if (nothingRan) console.error('No test was executed.')
  for (const name of counts.retried) console.log(`only at another try: ${name}`)
  if (counts.skipped > 0) console.log(`${counts.skipped} skipped`)
  // Types, lint and a runner that broke without naming a test are failures that a reader of the last line must see.
  const unnamed = counts.failed === 0 && (code !== 0 || nothingRan) ? 1 : 0
  const failed = counts.failed + failedChecks + unnamed
  console.log(`${counts.passed} passed, ${failed} failed`)
  return code !== 0 ? code : Number(failed > 0)
}

// ---- processes

/** The packaged Node when there is one; else this one, if it can run TypeScript files as they are. */
function nodeBinary() {
  if (existsSync(packagedNode)) return packagedNode
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return process.execPath
  throw new Error(`Node ${oldestNode.join('.')} or newer is needed on this platform; this is ${process.version}.`)
}

function runNode(args, options = {}) {
  const node = nodeBinary()
  const env = options.env ?? process.env
  // Tools that start "node" themselves get the same one.
  const path = `${at('node_modules', '.bin')}${delimiter}${env.PATH ?? ''}`
  return runForeground([node, ...args], { cwd: options.cwd ?? root, env: { ...env, PATH: path } })
}

/** Runs a child on our terminal; hands signals on and resolves to its exit code, as a shell would count it. */
function runForeground([command, ...args], options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: 'inherit' })
    // A terminal sends Ctrl-C to the child itself; passing it on would count as the impatient second one.
    const pass = (signal) => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal))
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, pass)
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, pass)
      resolve(code ?? 128 + (constants.signals[signal] ?? 0))
    })
  })
}

function runQuietly([command, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = refuse(error.message)
}
