import { networkInterfaces } from 'node:os'
import { parse } from 'yaml'
import { SimRentedMachines } from '../../src/sim/rented-machines.ts'
import { putStandIn } from '../bare-path.ts'

export type { Rented } from '../../src/sim/rented-machines.ts'

/** They find something to download with, also where this host has nothing. */
export class RentedMachines extends SimRentedMachines {
  constructor() {
    super(parse)
  }

  override start(): Promise<string> {
    putStandIn(this.home, 'curl')
    return super.start()
  }
}

/** An address of this machine that is not loopback: what is served there is served to others. */
export function addressBeyondLoopback(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const found = all.find(({ internal, family }) => !internal && family === 'IPv4')
  if (!found) throw new Error('This test needs a network interface besides loopback.')
  return found.address
}
