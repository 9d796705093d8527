import ms from 'ms';

/** `?time=2h` → milliseconds; `?time=7200000` → words. */
export default function handler(request) {
  const time = new URL(request.url).searchParams.get('time') ?? '1h';
  const result = /^\d+$/.test(time) ? ms(Number(time), { long: true }) : ms(time);
  if (result !== undefined) return { time, result };
  return Response.json({ error: `not a time: ${time}` }, { status: 400 });
}
