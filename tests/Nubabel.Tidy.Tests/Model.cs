using System.Reflection;
using Nubabel.Domain;

namespace Nubabel.Tidy.Tests;

/// <summary>What the domain consists of, by reflection.</summary>
internal static class Model
{
    public static Assembly Domain => typeof(EventCatalog).Assembly;

    public static bool IsEvent(Type type) => !type.IsAbstract && ArgumentOf(type, typeof(Event<>)) is not null;
    public static bool IsCommand(Type type) => !type.IsAbstract && ArgumentOf(type, typeof(Command<>)) is not null;
    public static bool IsState(Type type) => type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IAggregate<>));

    public static IEnumerable<Type> Events => Domain.GetTypes().Where(IsEvent);
    public static IEnumerable<Type> Commands => Domain.GetTypes().Where(IsCommand);
    public static IEnumerable<Type> States => Domain.GetTypes().Where(IsState);

    public static IEnumerable<Type> ReadModels => typeof(Projections.StoredJson).Assembly.GetTypes().Where(t =>
        t.GetInterfaces().Any(i => i.IsGenericType && (i.GetGenericTypeDefinition() == typeof(Store.IDocument<>) || i.GetGenericTypeDefinition() == typeof(Store.IRows<>))));

    /// <summary>The aggregate that an event or a command belongs to.</summary>
    public static Type AggregateOf(Type type) => ArgumentOf(type, typeof(Event<>)) ?? ArgumentOf(type, typeof(Command<>))!;

    public static string KindOf(Type state) => (string)state.GetProperty("Kind", BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!;

    private static Type? ArgumentOf(Type type, Type generic)
    {
        for (var t = type.BaseType; t is not null; t = t.BaseType)
            if (t.IsGenericType && t.GetGenericTypeDefinition() == generic) return t.GetGenericArguments()[0];
        return null;
    }
}
