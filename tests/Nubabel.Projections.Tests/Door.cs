using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

public sealed record DoorLocked : Event<Door>;
public sealed record DoorUnlocked : Event<Door>;
public sealed record DoorOpened(int Times) : Event<Door>;
public sealed record DoorLabelled(string Text) : Event<Door>;

public sealed record LockDoor : Command<Door>;
public sealed record UnlockDoor : Command<Door>;
public sealed record OpenDoor : Command<Door>;
public sealed record OpenDoorOften(int Times) : Command<Door>;
public sealed record LabelDoor(string Text) : Command<Door>;

/// <summary>An aggregate of the tests' own, whose refusals pass again.</summary>
public sealed record Door(bool Locked, int Opened, string? Label = null) : IAggregate<Door>
{
    public static string Kind => "door";
    public static Door Initial { get; } = new(false, 0);
    public static EventTypes Types { get; } = new(
        [new EventType("door_locked", typeof(DoorLocked)), new EventType("door_unlocked", typeof(DoorUnlocked)), new EventType("door_opened", typeof(DoorOpened)), new EventType("door_labelled", typeof(DoorLabelled))], StoredJson.Options);

    public static Door Evolve(Door state, Event<Door> e) => e switch
    {
        DoorLocked => state with { Locked = true },
        DoorUnlocked => state with { Locked = false },
        DoorOpened o => state with { Opened = o.Times },
        DoorLabelled l => state with { Label = l.Text },
        _ => state,
    };

    public static IReadOnlyList<Event<Door>> Decide(Door state, Command<Door> command, Context at) => command switch
    {
        LockDoor => state.Locked ? [] : [new DoorLocked()],
        UnlockDoor => state.Locked ? [new DoorUnlocked()] : [],
        OpenDoor => state.Locked ? throw new Refused(RefusalKind.Conflict, "door.locked", "It is locked.") : [new DoorOpened(state.Opened + 1)],
        OpenDoorOften often => [.. Enumerable.Range(1, often.Times).Select(i => new DoorOpened(state.Opened + i))],
        LabelDoor label => [new DoorLabelled(label.Text)],
        _ => throw new NotSupportedException(),
    };
}
