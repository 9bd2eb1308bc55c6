import { useEffect, useState } from 'react'
import { failureOf } from '../api/client.ts'
import { session } from '../api/session.ts'
import { signIn } from '../api/sign-in.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'

const where = (
  <>
    <code>flightdeck up</code> printed the first one; an admin makes more under People.
  </>
)

function useSignIn() {
  const [token, setToken] = useState('')
  const [busy, setBusy] = useState(false)
  const [wrong, setWrong] = useState<string | null>(null)
  const submit = async () => {
    if (token.trim() === '') return setWrong('Paste your token.')
    setBusy(true)
    try {
      await signIn(token.trim())
    } catch (error) {
      const { cause, remedy } = failureOf(error).error
      setWrong(`${cause} ${remedy}`)
      setBusy(false)
    }
    return undefined
  }
  const field = (
    <TextField
      label="Your token"
      type="password"
      value={token}
      onChange={(value) => {
        setToken(value)
        setWrong(null)
      }}
      hint={where}
      wrong={wrong}
      placeholder="fd_op_…"
      autoComplete="current-password"
      autoFocus
    />
  )
  return { field, busy, submit: () => void submit() }
}

export function SignInForm() {
  const { field, busy, submit } = useSignIn()
  useEffect(() => {
    document.title = 'Sign in · Flightdeck'
  }, [])
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      <h1>Sign in</h1>
      {field}
      <div className="row">
        <Button type="submit" look="main" busy={busy}>
          Sign in
        </Button>
      </div>
    </form>
  )
}

/** Over the page that was open when the session ended. */
export function SignInAgain({ name }: { readonly name: string }) {
  const { field, busy, submit } = useSignIn()
  return (
    <Dialog
      title="Your session has ended"
      onClose={() => undefined}
      onSubmit={submit}
      actions={
        <>
          <Button onPress={session.left}>Leave</Button>
          <Button type="submit" look="main" busy={busy}>
            Sign in and go on
          </Button>
        </>
      }
    >
      <p>
        You were signed in as <strong>{name}</strong>. The page is as you left it.
      </p>
      {field}
    </Dialog>
  )
}
