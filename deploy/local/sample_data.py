"""A small plausible company, made through the public API: run it as often as you like, it only adds what is missing.

Made: a business configuration, knowledge entries, an AI agent with a phone number, a human agent. Owner: the `user`
of credentials.json.
"""

from board import people
from board.api import API, APIError
from board.instance import Instance

BUSINESS = {
    "name": "Harbour Internet",
    "type": "telecom",
    "is_active": True,
    "config_data": {
        "ai": {
            "model": "default",
            "temperature": 0.3,
            "system_prompt": "You answer calls for Harbour Internet, a small provider of home internet. "
                             "Be brief and warm, and say so when you do not know.",
        },
        "voice": {"language": "en-US", "voice": "en-US-Journey-O", "response_delay": 0},
        "knowledge_base": {"enabled": True, "retrieval_top_k": 4, "similarity_threshold": 0.1},
        "quality_assurance": {
            "enabled": True, "sentiment_analysis": True, "compliance_check": True, "min_score_threshold": 0.6,
        },
        "escalation": {
            "enabled": True,
            "warm_transfer": True,
            "triggers": [
                {"type": "keyword", "keywords": ["supervisor", "lawyer", "complaint"]},
                {"type": "sentiment", "threshold": -0.6},
            ],
        },
    },
}

ENTRIES = [
    ("Opening hours", "Our support line is open Monday to Friday from 8 am to 8 pm and Saturday from 9 am to 5 pm. "
                      "On Sundays and public holidays only outages are handled."),
    ("Plans and prices", "Harbour Basic is 25 dollars a month for 100 megabits. Harbour Plus is 40 dollars a month "
                         "for 500 megabits. Harbour Max is 60 dollars a month for one gigabit."),
    ("Slow or broken connection", "Unplug the router for thirty seconds and plug it in again. When the light is "
                                  "still red after five minutes, we send a technician within two working days, free "
                                  "of charge."),
    ("Paying a bill", "Bills are due on the first of the month and can be paid by card, bank transfer or direct "
                      "debit. A late bill costs 5 dollars after fourteen days."),
    ("Cancelling", "A contract can be cancelled at the end of any month with two weeks' notice. The router has to "
                   "come back within thirty days; the return label is free."),
    ("Moving house", "Tell us the new address at least three weeks before the move. The plan moves along and the "
                     "move costs nothing when the new address is in our area."),
    ("Refunds", "For every full day without service we refund one thirtieth of the month's price. Refunds appear "
                "on the next bill."),
]

AI_AGENT = {
    "name": "Harbour line",
    "greeting": "Hello, this is Harbour Internet. How can I help you today?",
    "voice": "en-US-Journey-O",
    "language": "en-US",
    "retry_interval": 30,
    "workdays": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    "call_from": "00:00:00",
    "call_to": "23:59:59",
    "character": "Friendly and professional customer service agent",
}


def create(instance: Instance, say=lambda text: None) -> None:
    accounts = people.credentials(instance)
    owner = API(instance.url).signed_in(accounts["user"])
    business = business_configuration(owner, say)
    knowledge(owner, business, say)
    agent = ai_agent(owner, business, say)
    phone_number(owner, agent, instance.settings["TWILIO_PHONE_NUMBER"], say)
    human_agent(owner, accounts["agent"]["email"], say)


def business_configuration(api: API, say) -> str:
    for config in api.get("/api/v1/config/business")["configs"]:
        if config["name"] == BUSINESS["name"]:
            return config["id"]
    say(f"business configuration {BUSINESS['name']}")
    return api.post("/api/v1/config/business", BUSINESS)["config"]["id"]


def knowledge(api: API, business: str, say) -> None:
    present = {entry["title"] for entry in api.get("/api/v1/knowledge", limit="100")["entries"]}
    for title, content in ENTRIES:
        if title not in present:
            say(f"knowledge entry {title}")
            api.post("/api/v1/knowledge", {"business_id": business, "title": title, "content": content,
                                           "source": "sample data", "source_type": "manual"})


def ai_agent(api: API, business: str, say) -> str:
    for agent in api.get("/api/agents/agents/", page_size="100")["results"]:
        if agent.get("greeting") == AI_AGENT["greeting"]:
            return agent["id"]
    say(f"AI agent {AI_AGENT['name']}")
    workspace = api.get("/api/workspaces/workspaces/")["results"][0]["id"] if has_workspaces(api) else None
    body = AI_AGENT | {"business_id": business} | ({"workspace": workspace} if workspace else {})
    return api.post("/api/agents/agents/", body)["id"]


def has_workspaces(api: API) -> bool:
    try:
        return bool(api.get("/api/workspaces/workspaces/").get("results"))
    except APIError as error:
        if error.status == 404:
            return False
        raise


def phone_number(api: API, agent: str, number: str, say) -> None:
    numbers = api.get("/api/agents/phone-numbers/", page_size="100")["results"]
    known = next((each for each in numbers if each["phone_number"] == number), None)
    if known is None:
        say(f"phone number {number}")
        known = api.post("/api/agents/phone-numbers/", {"phone_number": number})
    if known.get("agent") != agent:
        api.post(f"/api/agents/agents/{agent}/assign_phone_numbers/", {"phone_number_ids": [known["id"]]})


def human_agent(api: API, email: str, say) -> None:
    if any(agent["email"] == email for agent in api.get("/api/v1/agents")["agents"]):
        return
    say(f"human agent {email}")
    api.post("/api/v1/agents", {"name": "Ari Agent", "email": email, "phone_number": "+14155550123",
                                "skills": ["billing", "technical"], "departments": ["support"],
                                "is_available": True, "is_active": True})
