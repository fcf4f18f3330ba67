using System.Collections.Concurrent;
using Nubabel.Domain;

namespace Nubabel.Api.Reads;

/// <summary>Which answers have members for personal values, however deep.</summary>
public static class PersonalShapes
{
    private static readonly ConcurrentDictionary<Type, bool> Known = new();

    public static bool HoldsPersonal(Type? answer) => answer is not null && Known.GetOrAdd(answer, type => Search(type, []));

    private static bool Search(Type type, HashSet<Type> seen)
    {
        if (type == typeof(Personal)) return true;
        // An id names what it is the id of, and holds nothing of it.
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Id<>)) return false;
        if (!seen.Add(type) || type.IsPrimitive || type == typeof(string)) return false;
        var inside = type.IsArray ? [type.GetElementType()!] : type.GetGenericArguments();
        if (inside.Any(t => Search(t, seen))) return true;
        return type.Namespace?.StartsWith(nameof(Nubabel), StringComparison.Ordinal) == true && type.GetProperties().Any(p => p.GetIndexParameters().Length == 0 && !p.GetMethod!.IsStatic && Search(p.PropertyType, seen));
    }
}
