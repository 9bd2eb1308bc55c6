import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { OperatorView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { usePerson } from '../api/session.ts'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/dialog.tsx'
import { StateMark, Tag } from '../parts/mark.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { AddPerson } from '../people/add-person.tsx'
import { roleWords } from '../people/role-choice.tsx'
import { RoleDialog } from '../people/role-dialog.tsx'

export function PeoplePage() {
  const people = useRead('listOperators')
  const me = usePerson()?.id ?? null
  const [adding, setAdding] = useState(false)
  const [changing, setChanging] = useState<OperatorView | null>(null)
  const [disabling, setDisabling] = useState<OperatorView | null>(null)
  return (
    <Page
      title="People"
      sub="Who may do what"
      actions={
        <Button look="main" act="createOperator" onPress={() => setAdding(true)}>
          Add a person
        </Button>
      }
    >
      <Panel title="People and their roles" flush>
        <Loaded of={people}>
          {({ items }) => (
            <Table
              label="People"
              rows={items}
              rowKey={({ id }) => id}
              isHere={({ id }) => id === me}
              columns={columnsOf(me, setChanging, setDisabling)}
            />
          )}
        </Loaded>
      </Panel>
      {adding && <AddPerson onClose={() => setAdding(false)} />}
      {changing && <RoleDialog of={changing} isMe={changing.id === me} onClose={() => setChanging(null)} />}
      {disabling && <Disable of={disabling} isMe={disabling.id === me} onClose={() => setDisabling(null)} />}
    </Page>
  )
}

type Choose = (person: OperatorView) => void

const columnsOf = (me: string | null, change: Choose, disable: Choose): Column<OperatorView>[] => [
  {
    key: 'name',
    title: 'Name',
    cell: ({ id, name }) => (
      <>
        <strong>{name}</strong> {id === me && <Tag>you</Tag>}
      </>
    ),
  },
  {
    key: 'role',
    title: 'Role',
    cell: ({ role }) => (
      <>
        {role} <span className="soft">{roleWords[role]}</span>
      </>
    ),
    width: '3fr',
    wide: true,
  },
  { key: 'last4', title: 'Token ends with', cell: ({ last4 }) => <code>{last4}</code>, width: '130px', low: true },
  {
    key: 'state',
    title: 'State',
    cell: ({ disabledAt }) => (
      <StateMark shape={disabledAt === null ? 'good' : 'between'}>
        {disabledAt === null ? 'good' : 'disabled'}
      </StateMark>
    ),
    width: '110px',
  },
  { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, width: '90px', end: true },
  {
    key: 'acts',
    title: '',
    cell: (person) => <Acts of={person} change={change} disable={disable} />,
    width: '210px',
    end: true,
  },
]

interface ActsProps {
  readonly of: OperatorView
  readonly change: Choose
  readonly disable: Choose
}

function Acts({ of: person, change, disable }: ActsProps) {
  const { name, disabledAt } = person
  return (
    <>
      <Link to="/audit" search={{ who: name } as never} className="link">
        Audit
      </Link>{' '}
      {disabledAt === null && (
        <>
          <Button look="quiet" act="changeRole" onPress={() => change(person)} label={`Role of ${name}`}>
            Role …
          </Button>
          <Button look="quiet" danger act="disableOperator" onPress={() => disable(person)} label={`Disable ${name}`}>
            Disable …
          </Button>
        </>
      )}
    </>
  )
}

interface DisableProps {
  readonly of: OperatorView
  readonly isMe: boolean
  readonly onClose: () => void
}

function Disable({ of: { id, name }, isMe, onClose }: DisableProps) {
  return (
    <Confirm
      title={`Disable ${name}?`}
      verb="Disable"
      act="disableOperator"
      call={{ params: { id } }}
      danger
      onClose={onClose}
    >
      <p>
        {isMe ? 'This is you: you are signed out everywhere at once.' : `${name} is signed out everywhere at once.`} The
        token is refused from then on, and the name is given to nobody else. What {name} launched goes on.
      </p>
    </Confirm>
  )
}
