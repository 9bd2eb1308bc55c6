import { expect, test } from 'vitest'
import { agentProtocol, agentStanding, oldestAgentProtocol } from './agent-protocol.ts'
import { version } from './version.ts'

const agent = (protocol: number, agentVersion = version) => ({ protocol, agentVersion })

test('the protocol before our own is understood, and no agent of a later one is turned away', () => {
  expect(oldestAgentProtocol).toBeLessThan(agentProtocol)
  for (let protocol = oldestAgentProtocol; protocol <= agentProtocol + 1; protocol++)
    expect(agentStanding(agent(protocol))).not.toBe('too_old')
})

test('how an agent stands follows from its protocol first, and from its version within one', () => {
  expect(agentStanding(agent(agentProtocol))).toBe('current')
  expect(agentStanding(agent(agentProtocol, '0.0.9'))).toBe('behind')
  expect(agentStanding(agent(agentProtocol - 1))).toBe('behind')
  expect(agentStanding(agent(agentProtocol, '99.0.0'))).toBe('ahead')
  expect(agentStanding(agent(agentProtocol + 1))).toBe('ahead')
  expect(agentStanding(agent(oldestAgentProtocol - 1, '99.0.0'))).toBe('too_old')
})
