using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>The product's event types as the engine knows them.</summary>
public static class Events
{
    public static EventTypes Types { get; } = new(EventCatalog.All.Select(e => new EventType(e.Alias, e.Type, e.Upcasts)), StoredJson.Options);
}
