/** An ASGI application with lifespan: answers with path, body and query, and says what began it. */
export const ASGI_ECHO = `
state = []
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            state.append(message['type'])
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                print('down')
                return
    body = b''
    more = True
    while more:
        message = await receive()
        body += message['body']
        more = message['more_body']
    await send({'type': 'http.response.start', 'status': 201, 'headers': [(b'x-up', state[0].encode())]})
    await send({'type': 'http.response.body', 'body': scope['path'].encode() + b' ', 'more_body': True})
    await send({'type': 'http.response.body', 'body': body + scope['query_string']})
`;
