import type { Actor, CommandDeps } from '../commands/context.ts'
import { beginSession, finishSession, type Session } from '../commands/sessions.ts'
import { Failure } from '../core/failure.ts'
import type { MeView } from '../wire/views.ts'
import type { Door } from './access.ts'
import { Answered, type Handlers } from './asked.ts'
import { iso } from './present-time.ts'

const presentMe = ({ id, name, role }: Actor, session: Session | null): MeView => ({
  id,
  name,
  role,
  session: session && { id: session.id, endsAt: iso(session.endsAt), idleEndsAt: iso(session.idleEndsAt) },
})

/** Who calls, and browsers that sign in and out. */
export function sessionHandlers(deps: CommandDeps, door: Door): Handlers<'me' | 'signIn' | 'signOut'> {
  return {
    me: async ({ actor, session }) => presentMe(actor, session),
    async signIn({ body, address, browser }) {
      if (!browser.isOwnPage) {
        throw new Failure('origin_refused', 'Only the dashboard signs in, at its own address.', {
          remedy: 'Open the address that `flightdeck up` printed; programs send their token with each call instead.',
        })
      }
      const actor = await door.tokenOfPerson(body.token.trim(), address)
      const { session, value } = await beginSession(deps, actor)
      return new Answered(201, presentMe(actor, session), browser.keep(value, deps.settings.sessions.lifetimeS))
    },
    async signOut({ actor, session, browser }) {
      if (!session) {
        const remedy = 'Nothing need be done: a token is good until its operator is disabled.'
        throw new Failure('wrong_state', 'The call came with a token, so there is no session to end.', { remedy })
      }
      await finishSession(deps, actor, session.id)
      return new Answered(200, {}, browser.keep(null, 0))
    },
  }
}
