"""What happens in the shop."""

from shop import Base, Order, Session, engine, place

Base.metadata.create_all(engine)
place("ada")
try:
    place("bob", fails=True)
except ValueError:
    print("nothing was placed for bob")
place("eve")
with Session.begin() as session:
    session.delete(session.get(Order, 3))
