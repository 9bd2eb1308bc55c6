import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { installFromDebian } from './debian-packages.ts'

const executablePath = '/usr/bin/chromium'

// Nothing of the browser's own leaves this machine: no updates, no sync, no look-ups of its maker.
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Debian's chromium, installed where it is missing. */
export async function startBrowser(): Promise<Browser> {
  if (!existsSync(executablePath)) installFromDebian('chromium')
  return chromium.launch({ executablePath, args: flags })
}

export interface VisitOptions {
  readonly url: string
  /** Signed in as whoever has it; without it nobody is. */
  readonly token?: string
  readonly width?: number
  readonly look?: 'light' | 'dark'
}

/** The browser notes each call that was refused or failed by itself; what the page makes of it is what is tested. */
const noted = /^(Failed to load resource|WebSocket connection to \S+ failed)/

/** A person with a browser of their own: what their pages asked for and complained of is kept. */
export class Visitor {
  readonly #context: BrowserContext
  readonly page: Page
  /** Requests that went, or would have gone, to another machine. */
  readonly foreign: string[] = []
  readonly complaints: string[] = []

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context
    this.page = page
    context.on('request', (request) => {
      const { hostname, protocol } = new URL(request.url())
      if (hostname !== '127.0.0.1' && protocol !== 'data:') this.foreign.push(request.url())
    })
    page.on('pageerror', (error) => this.complaints.push(error.message))
    page.on('console', (said) => {
      if (said.type() === 'error' && !noted.test(said.text())) this.complaints.push(said.text())
    })
  }

  static async arrive(browser: Browser, { url, token, width = 1440, look = 'light' }: VisitOptions): Promise<Visitor> {
    const context = await browser.newContext({
      baseURL: url,
      viewport: { width, height: 900 },
      colorScheme: look,
      reducedMotion: 'reduce',
    })
    const visitor = new Visitor(context, await context.newPage())
    if (token !== undefined) await visitor.signIn(token)
    return visitor
  }

  /** As the page does it. */
  async signIn(token: string): Promise<void> {
    const response = await this.#context.request.post('/api/session', {
      data: { token },
      headers: { 'sec-fetch-site': 'same-origin' },
    })
    if (!response.ok()) throw new Error(`signing in was answered with ${response.status()}: ${await response.text()}`)
  }

  leave(): Promise<void> {
    return this.#context.close()
  }
}

/** All leave, and none of them met anything wrong. */
export async function seeOff(visitors: Visitor[]): Promise<void> {
  const those = visitors.splice(0)
  for (const visitor of those) await visitor.leave()
  expect(
    those.flatMap(({ foreign }) => foreign),
    'nothing leaves this machine',
  ).toEqual([])
  expect(
    those.flatMap(({ complaints }) => complaints),
    'the browser has nothing to complain of',
  ).toEqual([])
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds on the page that is serious or worse, in one line each. `rules`: those alone; `within`: of one element. */
export async function seriousFindings(page: Page, rules?: readonly string[], within?: string): Promise<string[]> {
  if (await page.evaluate('typeof axe === "undefined"')) await page.evaluate(axe)
  const only = rules && { runOnly: { type: 'rule', values: rules } }
  const options = JSON.stringify({ resultTypes: ['violations'], ...only })
  const { violations } = (await page.evaluate(`axe.run(${JSON.stringify(within ?? 'html')}, ${options})`)) as {
    violations: { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] }[]
  }
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary}`),
    )
}

/** Stands between browsers and the control plane, and can be cut like a cable. */
export interface Cable {
  readonly url: string
  /** Ends every connection, and refuses new ones until it is mended. */
  cut(): void
  mend(): void
  close(): Promise<void>
}

export async function layCable(targetPort: number): Promise<Cable> {
  const ends = new Set<Socket>()
  let whole = true
  const server = createServer((near) => {
    if (!whole) return void near.destroy()
    const far = connect(targetPort, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        ends.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll = () => {
    for (const end of ends) end.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      whole = false
      cutAll()
    },
    mend() {
      whole = true
    },
    async close() {
      cutAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
