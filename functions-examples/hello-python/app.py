"""Answers with a greeting: `?name=Ada` or `{"name": "Ada"}` as the body."""


def handler(request, context):
    body = request.json() if request.method == "POST" else {}
    name = body.get("name") or request.query.get("name") or "world"
    return {"message": f"Hello, {name}!", "callId": context.call_id}
