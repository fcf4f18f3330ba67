using System.Collections;
using System.Reflection;
using Nubabel.Domain;
using Nubabel.Projections.Devices;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

/// <summary>States and rows are remembered and shared by all commands of a node, so nobody may be able to change one.</summary>
public sealed class RememberedTypesTests
{
    private readonly HashSet<Type> met = [];
    private readonly SortedSet<string> changeable = new(StringComparer.Ordinal);

    [Fact]
    public void What_is_remembered_cannot_be_changed_in_place()
    {
        Type[] states = [.. typeof(IAggregate<>).Assembly.GetTypes().Where(t => t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IAggregate<>)))];
        var rows = typeof(DeviceList).Assembly.GetType("Nubabel.Projections.Rows")!.GetField("all", BindingFlags.Static | BindingFlags.NonPublic)!.GetValue(null)!;
        Type[] shown = [.. ((IDictionary)rows).Values.Cast<StreamFold[]>().SelectMany(folds => folds).Select(fold => fold.GetType().GetGenericArguments()[0])];
        Assert.True(states.Length > 25 && shown.Length > 15);
        foreach (var type in states.Concat(shown)) Look(type, type.Name);
        Assert.Empty(changeable);
    }

    private void Look(Type type, string where)
    {
        if (type.IsArray) changeable.Add($"{where} is an array");
        if (!met.Add(type)) return;
        foreach (var part in type.IsGenericType ? type.GetGenericArguments() : []) Look(part, where);
        if (typeof(IList).IsAssignableFrom(type) || typeof(IDictionary).IsAssignableFrom(type))
        {
            if (type.Namespace != "System.Collections.Immutable") changeable.Add($"{where} is a {type.Name}");
        }
        if (type.IsEnum || type.Namespace?.StartsWith("Nubabel", StringComparison.Ordinal) != true) return;
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            if (!field.IsInitOnly) changeable.Add($"{type.Name}.{field.Name} is not read-only");
            Look(field.FieldType, $"{type.Name}.{field.Name}");
        }
        foreach (var heir in type.Assembly.GetTypes().Where(t => t.BaseType == type)) Look(heir, heir.Name);
    }
}
