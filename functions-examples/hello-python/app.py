"""Answers with a greeting: `?name=Ada` or `{"name": "Ada"}` as the body."""


def handler(request, context):
    try:
        body = request.json() if request.method == "POST" else {}
    except ValueError:
        return 'the body must be JSON, such as {"name":"Ada"}\n', 400
    given = body.get("name") if isinstance(body, dict) else None
    name = given or request.query.get("name") or "world"
    return {"message": f"Hello, {name}!", "callId": context.call_id}
