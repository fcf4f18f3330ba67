using System.Collections;
using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Privacy;

/// <summary>Every place where a person's data may come to lie, found in the code and in the schema rather than listed.</summary>
internal static class Places
{
    /// <summary>Members that hold sealed values: of events, rows of read models and messages.</summary>
    public static IEnumerable<string> Sealed =>
        Of("event", Events).Concat(Of("read", Rows)).Concat(Of("message", Messages)).Where(m => m.Type == typeof(Personal)).Select(m => m.Place);

    /// <summary>Members of what is written that hold text which no key seals, whatever it says. Rows of read models follow from events.</summary>
    public static IEnumerable<string> Texts =>
        Of("event", Events).Concat(Of("message", Messages)).Concat(Of("origin", [("", typeof(Origin))])).Where(m => IsText(m.Type)).Select(m => m.Place);

    /// <summary>Columns of the engine's tables that hold text, bytes or JSON. The log has the columns of its own layout, and read models those of their rows.</summary>
    public static async Task<IReadOnlyList<string>> Columns() => await (await TestDatabase.Shared).Scalar<string[]>("""
        select array_agg('column ' || c.table_name || '.' || c.column_name order by c.table_name, c.column_name) from information_schema.columns c
         where c.table_schema = 'nubabel' and c.udt_name in ('varchar', 'text', 'bytea', 'jsonb', 'json', '_varchar', '_text', '_bytea', '_jsonb') and c.column_name <> 'tenant_id'
        """);

    private static IEnumerable<(string, Type)> Events => EventCatalog.All.Select(e => (e.Alias, e.Type));
    private static IEnumerable<(string, Type)> Messages => MessageCatalog.Types.All.Select(m => (m.Alias, m.Type));

    private static IEnumerable<(string, Type)> Rows => ReadModels.All.All.Select(p => (p.Name, RowOf(p.Name)));

    private static Type RowOf(string projection) => typeof(ReadModels).Assembly.GetTypes().Concat(typeof(Projection).Assembly.GetTypes())
        .Where(t => t is { IsInterface: false, ContainsGenericParameters: false } && t.GetInterfaces().Any(IsReadModel) && t.GetProperty("Name", BindingFlags.Public | BindingFlags.Static)?.GetValue(null) is string name && name == projection)
        .SelectMany(t => t.GetInterfaces()).Single(IsReadModel).GenericTypeArguments[0];

    private static bool IsReadModel(Type type) => type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(IDocument<>) || type.GetGenericTypeDefinition() == typeof(IRows<>));

    private static IEnumerable<(string Place, Type Type)> Of(string what, IEnumerable<(string Name, Type Type)> types) =>
        types.SelectMany(t => Members(t.Type, [], t.Name.Length == 0 ? what : $"{what} {t.Name}"));

    private static IEnumerable<(string Place, Type Type)> Members(Type type, ImmutableHashSet<Type> above, string path)
    {
        foreach (var member in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.GetIndexParameters().Length == 0 && p.GetSetMethod() is not null))
        {
            var place = $"{path}.{JsonNamingPolicy.CamelCase.ConvertName(member.Name)}";
            foreach (var inner in Parts(member.PropertyType))
            {
                if (IsOurs(inner) && !above.Contains(inner)) foreach (var deeper in Members(inner, above.Add(inner), place)) yield return deeper;
                yield return (place, inner);
            }
        }
    }

    /// <summary>A type, or what a list, a dictionary or an optional value holds.</summary>
    private static IEnumerable<Type> Parts(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } some) return Parts(some);
        if (type.IsArray) return Parts(type.GetElementType()!);
        if (type != typeof(string) && type.IsGenericType && typeof(IEnumerable).IsAssignableFrom(type)) return type.GenericTypeArguments.SelectMany(Parts);
        return [type];
    }

    private static bool IsOurs(Type type) => type != typeof(Personal) && !type.IsEnum && !IsId(type) && type.Namespace?.StartsWith("Nubabel", StringComparison.Ordinal) == true;

    private static bool IsId(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>);

    // Enums are words of the code, ids are numbers; everything else that may carry characters counts, also a type of ours that shows no members.
    private static bool IsText(Type type) => type == typeof(string) || type == typeof(object) || type == typeof(byte[]) || type.Namespace?.StartsWith("System.Text.Json", StringComparison.Ordinal) == true
        || (IsOurs(type) && type.GetProperties(BindingFlags.Public | BindingFlags.Instance).All(p => p.GetSetMethod() is null));
}
