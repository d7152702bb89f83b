"""A small shop, whose customers the carrier simulator plays when it is given no others. Made through the
public API: run it as often as you like, it only adds what is missing.

Made: a business configuration, knowledge entries, an AI agent with a phone number, a human agent. Owner: the `user`
of credentials.json.
"""

from board import people
from board.api import API, APIError
from board.instance import Instance

BUSINESS = {
    "name": "Harbour Kitchenware",
    "type": "retail",
    "is_active": True,
    "config_data": {
        "ai": {
            "model": "default",
            "temperature": 0.3,
            "system_prompt": "You answer calls for Harbour Kitchenware, a small shop for kitchen appliances. "
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
                {"type": "keyword", "keywords": ["supervisor", "lawyer", "compensation"]},
                {"type": "sentiment", "threshold": -0.6},
            ],
        },
    },
}

ENTRIES = [
    ("Opening hours", "Our phones are answered Monday to Friday from 8 am to 8 pm and on Saturday from 9 am to 5 pm. On "
                      "Sunday and on public holidays we are closed."),
    ("Delivery", "An order arrives within three to five working days. Deliveries arrive between 8 am and 6 pm, in the "
                 "evening between 6 pm and 9 pm when the evening window was chosen. An order that is not here after a "
                 "week is sent again free of charge."),
    ("Shipping prices", "Standard shipping costs 4 dollars and takes three to five days. Express shipping costs 15 "
                        "dollars and arrives on the next working day. Shipping is free for orders over 80 dollars."),
    ("Refunds", "A refund takes five to seven working days after the parcel reached us. It goes back to the same card "
                "or account the order was paid with. A double charge is refunded within three working days."),
    ("Returning a parcel", "A parcel can be returned within thirty days. Print the label from your account, put the "
                           "item into any sturdy box and hand it in at a parcel shop. The original box is not needed."),
    ("Warranty", "Every appliance has a warranty of two years. When a kettle, toaster or blender stops working, the "
                 "repair or a replacement is covered. Send us the appliance and a copy of the invoice."),
    ("Password and account", "To reset your password choose Forgot password on the sign-in page and follow the link we "
                             "mail to you. The link works for one hour."),
    ("Repair appointments", "Repairs in our workshop need an appointment. Appointments are free from Monday to Friday "
                            "between 9 am and 4 pm and take about thirty minutes."),
]

AI_AGENT = {
    "name": "Harbour line",
    "greeting": "Hello, this is Harbour Kitchenware. How can I help you today?",
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
