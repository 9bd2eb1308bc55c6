import { expect } from 'vitest'
import type { SimFaults } from '../../src/sim/engine-options.ts'
import { commandOf, type Plane } from './plane.ts'

/** From now on the simulated engine of that node has these faults. Returns its address. */
export async function setFaults(plane: Plane, nodeName: string, faults: SimFaults): Promise<string> {
  const [pid = 0] = (await plane.running('scripted-engine')).get(nodeName) ?? []
  const port = /--port\0(\d+)/.exec(commandOf(pid))?.[1]
  const url = `http://127.0.0.1:${port}`
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/sim/faults`, { method: 'POST', headers, body: JSON.stringify(faults) })
  expect(response.status).toBe(200)
  return url
}
