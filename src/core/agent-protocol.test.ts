import { expect, test } from 'vitest'
import { agentProtocol, agentStanding, oldestAgentProtocol, whyTooOld } from './agent-protocol.ts'
import { version } from './version.ts'

const agent = (protocol: number, agentVersion = version) => ({ protocol, agentVersion })

test('the protocol before our own is understood, and no agent of a later one is turned away', () => {
  expect(oldestAgentProtocol).toBeLessThan(agentProtocol)
  for (let protocol = oldestAgentProtocol; protocol <= agentProtocol + 1; protocol++)
    expect(whyTooOld(agent(protocol))).toBeNull()
})

test('how an agent stands follows from its protocol first, and from its version within one', () => {
  expect(agentStanding(agent(agentProtocol))).toBe('current')
  expect(agentStanding(agent(agentProtocol, '0.0.9'))).toBe('behind')
  expect(agentStanding(agent(agentProtocol - 1))).toBe('behind')
  expect(agentStanding(agent(agentProtocol, '99.0.0'))).toBe('ahead')
  expect(agentStanding(agent(agentProtocol + 1))).toBe('ahead')
  expect(agentStanding(agent(oldestAgentProtocol - 1, '99.0.0'))).toBe('too_old')
})

test('the refusal of one that is too old says what it speaks, what is understood, and how it is renewed', () => {
  const failure = whyTooOld(agent(oldestAgentProtocol - 1, '0.0.1'))
  expect(failure?.message).toContain('0.0.1')
  expect(failure?.message).toContain(`${oldestAgentProtocol} to ${agentProtocol}`)
  expect(failure?.record).toMatchObject({ code: 'agent_too_old', remedy: expect.stringContaining('flightdeck drain') })
})
