/** Answers with a greeting: `?name=Ada` or `{"name":"Ada"}` as the body. */
export default async function handler(request, context) {
  const { searchParams } = new URL(request.url);
  const body = request.method === 'POST' ? await request.json().catch(() => undefined) : {};
  if (body === undefined) {
    return new Response('the body must be JSON, such as {"name":"Ada"}\n', { status: 400 });
  }
  const name = body?.name ?? searchParams.get('name') ?? 'world';
  return { message: `Hello, ${name}!`, callId: context.callId };
}
